// One page: posters in, bars and heat maps out. It asks only the server it came from.

const SHOWN = 10; // genres before "show all"
const AT_ONCE = 4; // requests under way
const EXAMPLES = 6;
const PATIENCE = 8; // times a busy server is asked again

const $ = (id) => document.getElementById(id);
const state = { info: null, posters: [], current: null, genre: null, all: false, run: null };

class Told extends Error {} // a sentence for the reader

// --- asking the server

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (let turn = 0; ; turn += 1) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Told("The server cannot be reached.");
    }
    if (answer.ok) return answer;
    if (answer.status === 503 && turn < PATIENCE) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (1 + Math.random())));
      options.signal?.throwIfAborted();
      continue;
    }
    if (answer.status === 401) $("door").hidden = false;
    const told = await answer.json().catch(() => ({}));
    throw new Told(sentence(told.error ?? `The server answers ${answer.status}.`));
  }
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;

async function introduce() {
  try {
    state.info = await (await ask("info")).json();
  } catch (error) {
    if (error instanceof Told && $("door").hidden) complain(error.message);
    return;
  }
  $("door").hidden = true;
  $("error").hidden = true;
  const { genres, explains } = state.info;
  const further = explains ? " Choose a genre to see where on the poster it is seen." : "";
  $("about").textContent = `Bring a film poster, and see which of ${genres.length} genres it looks like.${further}`;
}

// --- bringing posters

async function bring(files) {
  const pictures = [...files];
  if (!pictures.length) return;
  state.run?.abort();
  state.run = new AbortController();
  const { signal } = state.run;
  for (const poster of state.posters) forget(poster);
  $("error").hidden = true;
  state.posters = pictures.map((file) => ({ file, name: file.name, url: URL.createObjectURL(file), heat: new Map() }));
  state.all = false;
  show(state.posters[0]);
  drawSheet();
  if ($("answer").getBoundingClientRect().top > 0.6 * innerHeight) $("answer").scrollIntoView();
  say(pictures.length > 1 ? `Looking at ${pictures.length} posters …` : "Looking …");
  const waiting = [...state.posters];
  const turn = async () => {
    for (let poster = waiting.shift(); poster; poster = waiting.shift()) {
      await answer(poster, signal);
      if (signal.aborted) return;
      if (poster === state.current) show(poster);
      drawSheet();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
  if (signal.aborted) return;
  summarise();
}

async function answer(poster, signal) {
  try {
    const limit = state.info?.limits.max_body_mb;
    if (limit && poster.file.size > limit * 1e6) throw new Told(`The picture is larger than ${limit} MB.`);
    const body = new FormData();
    body.append("poster", poster.file, poster.name);
    poster.answer = await (await ask("predict", { method: "POST", body, signal })).json();
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Told)) throw error;
    poster.error = error.message;
  }
}

function forget(poster) {
  URL.revokeObjectURL(poster.url);
  for (const url of poster.heat.values()) URL.revokeObjectURL(url);
}

function summarise() {
  const [first] = state.posters;
  const failed = state.posters.filter((poster) => poster.error).length;
  if (state.posters.length > 1) {
    say(`${state.posters.length - failed} of ${state.posters.length} posters answered.`);
  } else if (first.error) {
    say("");
  } else {
    const is = first.answer.genres.filter((genre) => genre.above_threshold).map((genre) => genre.name);
    const nearest = first.answer.genres[0].name;
    const told = is.length ? is.join(", ") : `no genre reaches its threshold; ${nearest} is the most probable`;
    say(`${sentence(told)} Answered in ${Math.round(first.answer.time_ms)} ms.`);
  }
}

const say = (text) => { $("status").textContent = text; };
const complain = (text) => { $("error").textContent = text; $("error").hidden = false; };

// --- one poster

function show(poster) {
  const changed = poster !== state.current;
  state.current = poster;
  if (changed) {
    hideHeat();
    $("stage").classList.remove("blank");
    $("poster").src = poster.url;
    $("poster").alt = `The poster ${poster.name}`;
  }
  $("error").hidden = !poster.error;
  if (poster.error) {
    complain(`${poster.name}: ${poster.error}`);
  }
  $("answer").hidden = Boolean(poster.error);
  $("name").textContent = poster.name;
  drawGenres(poster);
}

function drawGenres(poster) {
  const known = poster.answer?.genres ?? (state.info?.genres ?? []).slice(0, SHOWN);
  const count = state.all ? known.length : Math.max(SHOWN, known.filter((genre) => genre.above_threshold).length);
  const list = $("genres");
  list.classList.toggle("waiting", !poster.answer);
  list.setAttribute("aria-busy", String(!poster.answer));
  const rows = known.slice(0, count).map((genre) => genreRow(genre, Boolean(poster.answer)));
  list.replaceChildren(...rows);
  const hidden = known.length - count;
  $("all").hidden = !poster.answer || (hidden <= 0 && !state.all);
  $("all").textContent = state.all ? "Show fewer" : `Show all ${known.length} genres`;
  $("copy").hidden = !poster.answer;
  // The bars grow once they are on the page.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    for (const row of rows) row.firstChild.style.setProperty("--share", row.dataset.share);
  }));
}

function genreRow(genre, answered) {
  const clickable = answered && state.info?.explains;
  const row = make(clickable ? "button" : "div", `genre${genre.above_threshold ? " is" : ""}`);
  const bar = make("span", "bar");
  bar.append(make("span", "fill"), make("span", "tick"));
  bar.setAttribute("aria-hidden", "true");
  row.append(make("span", "label", genre.name), bar);
  row.title = genre.name;
  const item = make("li");
  if (answered) {
    row.append(make("span", "percent", percent(genre.probability)));
    const side = genre.above_threshold ? "reaches" : "below";
    row.append(make("span", "unseen", `, ${side} its threshold of ${percent(genre.threshold)}`));
    row.style.setProperty("--threshold", `${100 * genre.threshold}%`);
    item.dataset.share = `${100 * genre.probability}%`;
  }
  if (clickable) {
    row.type = "button";
    row.dataset.genre = genre.name;
    row.setAttribute("aria-pressed", String(genre.name === state.genre));
    row.addEventListener("click", () => explain(genre.name));
  }
  item.append(row);
  return item;
}

const percent = (share) => `${Math.round(100 * share)} %`;

// --- where a genre is seen

async function explain(genre) {
  if (state.genre === genre) return hideHeat();
  const poster = state.current;
  state.genre = genre;
  press();
  $("seen").textContent = `Looking for ${genre} …`;
  try {
    if (!poster.heat.has(genre)) {
      const body = new FormData();
      body.append("poster", poster.file, poster.name);
      body.append("genre", genre);
      const picture = await (await ask("explain", { method: "POST", body, signal: state.run.signal })).blob();
      poster.heat.set(genre, URL.createObjectURL(picture));
    }
    if (state.genre !== genre || state.current !== poster) return;
    $("heat").src = poster.heat.get(genre);
    $("heat").alt = `Bright where ${genre} is seen`;
    $("heat").hidden = false;
    $("seen").textContent = `Bright where ${genre} is seen`;
  } catch (error) {
    if (state.genre !== genre || state.current !== poster) return;
    hideHeat();
    if (error instanceof Told) complain(error.message);
    else if (error.name !== "AbortError") throw error;
  }
}

function hideHeat() {
  state.genre = null;
  $("heat").hidden = true;
  $("heat").removeAttribute("src");
  $("seen").textContent = "";
  press();
}

function press() {
  for (const row of document.querySelectorAll("button.genre")) {
    row.setAttribute("aria-pressed", String(row.dataset.genre === state.genre));
  }
}

// --- several posters

function drawSheet() {
  $("sheet").hidden = state.posters.length < 2;
  const focused = [...$("cards").children].findIndex((item) => item.contains(document.activeElement));
  $("cards").replaceChildren(...(state.posters.length < 2 ? [] : state.posters.map(card)));
  if (focused >= 0) $("cards").children[focused]?.firstChild.focus();
}

function card(poster) {
  const button = make("button", "card");
  button.type = "button";
  button.setAttribute("aria-current", String(poster === state.current));
  const image = make("img");
  image.src = poster.url;
  image.alt = "";
  image.addEventListener("error", () => image.classList.add("blank"));
  const text = make("span", "text");
  text.append(make("span", "title", poster.name));
  if (poster.error) text.append(make("span", "wrong", poster.error));
  else if (!poster.answer) text.append(make("span", "line", "…"));
  for (const genre of (poster.answer?.genres ?? []).slice(0, 3)) {
    const line = make("span", `line${genre.above_threshold ? " is" : ""}`);
    line.append(make("span", "", genre.name), make("span", "", percent(genre.probability)));
    text.append(line);
  }
  button.append(image, text);
  button.addEventListener("click", () => {
    show(poster);
    drawSheet();
    $("answer").hidden ? $("error").scrollIntoView({ block: "center" }) : $("answer").scrollIntoView({ block: "start" });
  });
  const item = make("li");
  item.append(button);
  return item;
}

// --- the rest

function make(tag, style = "", text = "") {
  const element = document.createElement(tag);
  if (style) element.className = style;
  if (text) element.textContent = text;
  return element;
}

async function copy() {
  const entries = state.posters.map(({ name, answer: told, error }) => (told ? { name, genres: told.genres } : { name, error }));
  const model = state.current.answer.model;
  const text = JSON.stringify(entries.length > 1 ? { posters: entries, model } : state.current.answer, null, 2);
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or a page without encryption
    const area = make("textarea", "unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    $("copy").focus();
  }
  $("copy").textContent = done ? "Copied" : "The browser does not let this page copy";
  say(done ? "The answer is on the clipboard." : "");
  setTimeout(() => { $("copy").textContent = "Copy as JSON"; }, 2000);
}

function offerExamples() {
  for (let number = 0; number < EXAMPLES; number += 1) {
    const button = make("button");
    button.type = "button";
    const image = make("img");
    image.src = `examples/${number}.png`;
    image.alt = `Example ${number + 1}`;
    button.append(image);
    button.addEventListener("click", async () => {
      try {
        const picture = await (await ask(`examples/${number}.png`)).blob();
        await bring([new File([picture], `example ${number + 1}.png`, { type: "image/png" })]);
      } catch (error) {
        if (!(error instanceof Told)) throw error;
        complain(error.message);
      }
    });
    $("examples").append(button);
  }
}

$("files").addEventListener("change", (event) => {
  bring(event.target.files);
  event.target.value = ""; // the same file again is a change too
});
document.addEventListener("paste", (event) => bring(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  bring(event.dataTransfer.files);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideHeat();
});
$("poster").addEventListener("load", ({ target }) => {
  $("stage").style.setProperty("--ratio", target.naturalWidth / target.naturalHeight);
});
$("poster").addEventListener("error", () => {
  $("stage").classList.add("blank");
  $("seen").textContent = "Your browser does not show this kind of picture.";
});
$("all").addEventListener("click", () => {
  state.all = !state.all;
  drawGenres(state.current);
});
$("copy").addEventListener("click", copy);
$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  introduce();
});

offerExamples();
introduce();
