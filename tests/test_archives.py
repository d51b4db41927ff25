"""Sets in one file: what strangers may put into it, and downloads that break."""

import gzip
import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import read_csv
from postergenre.collecting import CollectConfig, WebConfig, collect, extract
from postergenre.collecting.extract import extract as unpack
from postergenre.errors import DataError, StoppedError

GIGABYTE = 1_000_000_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def zip_of(path: Path, *entries: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, kind in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (kind | 0o644) << 16
            archive.writestr(entry, content)
    return path


def packed(posters: Path, path: Path, *, mode: str = "w:gz") -> Path:
    """Pack a poster set as GitHub does: below a folder of its own."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(posters / "train.csv", "Set-0123abc/train.csv")
        archive.add(posters / "Images", "Set-0123abc/Images")
        archive.addfile(member("Set-0123abc/latest", tarfile.SYMTYPE, "Images"))
    return path


def config(url: Path | str, output: Path, **settings: Any) -> CollectConfig:
    web = WebConfig(rate=1000, backoff=0.01, retries=2)
    return CollectConfig(source="archive", url=str(url), output=str(output), web=web, **settings)


def nothing_left(tmp_path: Path) -> bool:
    return not (tmp_path / "to").exists() and {path.name for path in tmp_path.iterdir()} <= {"x.tar.gz", "x.zip"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_a_known_set_is_one_again(colour_posters: Path, tmp_path: Path, mode: str) -> None:
    archive = packed(colour_posters, tmp_path / "x.tar", mode=mode)
    table = collect(config(f"file://{archive}", tmp_path / "set"))
    assert table.read_bytes() == (colour_posters / "train.csv").read_bytes()
    images = sorted((tmp_path / "set" / "Images").iterdir())
    assert [path.name for path in images] == [f"c{n:03}.jpg" for n in range(120)]
    assert images[7].read_bytes() == (colour_posters / "Images" / "c007.jpg").read_bytes()
    found = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert found == [".collect", "Images", "provenance.json", "train.csv"]
    assert archive.is_file()


def test_a_zip_without_a_checksum_is_taken_and_told(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (colour_posters / "train.csv", *(colour_posters / "Images").iterdir()):
            file.write(path, path.relative_to(colour_posters))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    collect(config(archive, tmp_path / "set"))
    told = capsys.readouterr().out
    assert f"sha256={digest}, not checked: no checksum was given" in told
    assert "120 posters of 3 genres" in told
    collect(config(archive, tmp_path / "other", sha256=digest.upper()))
    assert "not checked" not in capsys.readouterr().out


def test_a_wrong_checksum_is_refused(colour_posters: Path, tmp_path: Path) -> None:
    archive = packed(colour_posters, tmp_path / "x.tar")
    with pytest.raises(DataError, match=rf"its sha256 is [0-9a-f]{{64}}, not {'0' * 64}"):
        collect(config(archive, tmp_path / "set", sha256="0" * 64))
    assert not (tmp_path / "set" / "train.csv").exists()
    assert archive.is_file()
    collect(config(archive, tmp_path / "set"))
    with pytest.raises(DataError, match="is not the archive that was asked for"):
        collect(config(archive, tmp_path / "set", sha256="0" * 64))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "C:\\x", "..\\x", "\\x"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    good = (member("good.jpg"), b"good")
    archives = [
        tar_of(tmp_path / "x.tar.gz", good, (member(name), b"bad")),
        zip_of(tmp_path / "x.zip", (name, b"bad", stat.S_IFREG)),
    ]  # fmt: skip
    for archive in archives:
        with pytest.raises(DataError, match="leads out of its folder: not unpacked"):
            unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("name", "target"), [("x", "/etc/passwd"), ("x", "../y"), ("a/x", "../../y"), ("a/x", "b/../../../y")]
)
def test_links_out_are_refused(tmp_path: Path, name: str, target: str) -> None:
    archives = [
        tar_of(tmp_path / "x.tar.gz", (member(name, tarfile.SYMTYPE, target), b"")),
        zip_of(tmp_path / "x.zip", (name, target.encode(), stat.S_IFLNK)),
    ]
    for archive in archives:
        with pytest.raises(DataError, match="out of its folder: not unpacked"):
            unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    hard = tar_of(tmp_path / "x.tar.gz", (member("a/b/x", tarfile.LNKTYPE, "../y"), b""))  # seen from the top
    with pytest.raises(DataError, match="out of its folder: not unpacked"):
        unpack(hard, tmp_path / "to", max_bytes=GIGABYTE)
    assert nothing_left(tmp_path)


def test_a_link_within_is_left_out_and_nothing_is_written_through_it(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "x.tar.gz", (member("a/good.jpg"), b"good"), (member("b", tarfile.SYMTYPE, "a"), b""),
        (member("b/c.jpg"), b"c"), (member("d", tarfile.LNKTYPE, "a/good.jpg"), b""),
    )  # fmt: skip
    assert unpack(archive, tmp_path / "to", max_bytes=GIGABYTE) == ["2 link(s) in the archive are left out"]
    assert sorted(str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*")) == [
        "a", "a/good.jpg", "b", "b/c.jpg",
    ]  # fmt: skip
    assert not (tmp_path / "to" / "b").is_symlink()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archives = [
        tar_of(tmp_path / "x.tar.gz", (member("x", kind), b"")),
        zip_of(tmp_path / "x.zip", ("x", b"", stat.S_IFCHR)),
    ]
    for archive in archives:
        with pytest.raises(DataError, match="holds x, which is no file: not unpacked"):
            unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    assert nothing_left(tmp_path)


def bomb(path: Path, size: int) -> Path:
    """Write a small tar archive of one file of so many zeros, a multiple of 50 MB."""
    entry = member("bomb.jpg")
    entry.size = size
    step = 50_000_000
    with path.open("wb") as file:
        file.write(gzip.compress(entry.tobuf()))
        zeros = gzip.compress(bytes(step))
        for _ in range(size // step):  # the parts of a gzip file follow each other
            file.write(zeros)
        file.write(gzip.compress(bytes(-size % 512 + 1024)))
    return path


def test_ten_gigabytes_in_a_small_file_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = bomb(tmp_path / "x.tar.gz", 10 * GIGABYTE)
    assert archive.stat().st_size < GIGABYTE / 10
    read = 0
    original = extract._Bounded.read

    def counted(self: Any, size: int = -1) -> bytes:
        nonlocal read
        content = original(self, size)
        read += len(content)
        return content

    monkeypatch.setattr(extract._Bounded, "read", counted)
    with pytest.raises(DataError, match=r"\([\d,]{9,10} bytes\) would grow beyond [\d,]+ bytes: not unpacked"):
        unpack(archive, tmp_path / "to", max_bytes=5 * GIGABYTE)
    assert read < 10_000
    assert nothing_left(tmp_path)


def lying_zip(path: Path, size: int, says: int) -> Path:
    """Write a zip whose one file is larger than it says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.jpg", "w") as file:
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    true, lie = (number.to_bytes(4, "little") for number in (size, says))
    path.write_bytes(path.read_bytes().replace(true, lie))
    return path


@pytest.mark.parametrize("make", [
    lambda path: bomb(path / "x.tar.gz", 150_000_000),
    lambda path: lying_zip(path / "x.zip", 150_000_000, 150_000_000),
])  # fmt: skip
def test_what_grows_beyond_the_bound_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(DataError, match="would grow beyond 100,000,000 bytes: not unpacked"):
        unpack(make(tmp_path), tmp_path / "to", max_bytes=5 * GIGABYTE)
    assert nothing_left(tmp_path)


def test_an_archive_that_lies_about_sizes_is_refused_while_it_grows(tmp_path: Path) -> None:
    archive = lying_zip(tmp_path / "x.zip", 150_000_000, 1000)
    with pytest.raises(DataError, match=r"would grow beyond|cannot unpack"):
        unpack(archive, tmp_path / "to", max_bytes=5 * GIGABYTE)
    written = sum(path.stat().st_size for path in tmp_path.rglob("bomb.jpg"))
    assert written <= 1000


def test_many_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "ALWAYS", 1000)
    entries = [(member(f"{n}.jpg"), bytes(300)) for n in range(50)]
    archive = tar_of(tmp_path / "x.tar.gz", *entries)
    monkeypatch.setattr(extract, "MAX_RATIO", 1)
    with pytest.raises(DataError, match="would grow beyond"):
        unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    monkeypatch.setattr(extract, "ALWAYS", GIGABYTE)
    monkeypatch.setattr(extract, "MAX_FILES", 49)
    with pytest.raises(DataError, match="holds more than 49 files"):
        unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    assert nothing_left(tmp_path)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    entry = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    archive = tar_of(tmp_path / "x.tar.gz", (entry, bytes(3_000_000)), (member("x"), b"x"))
    with pytest.raises(DataError, match="has a header of 3,000,"):
        unpack(archive, tmp_path / "to", max_bytes=GIGABYTE)
    assert nothing_left(tmp_path)


def test_broken_archives_are_told(colour_posters: Path, tmp_path: Path) -> None:
    whole = packed(colour_posters, tmp_path / "x.tar.gz").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:2000] + bytes(100) + whole[2100:]):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(DataError, match="cannot unpack"):
            unpack(tmp_path / "bad", tmp_path / f"to{len(content)}{content[2050:2052]!r}", max_bytes=GIGABYTE)
    twice = tar_of(tmp_path / "x.tar.gz", (member("x.jpg"), b"1"), (member("x.jpg"), b"2"))
    with pytest.raises(DataError, match=re.escape("holds x.jpg twice: not unpacked")):
        unpack(twice, tmp_path / "twice", max_bytes=GIGABYTE)


def test_an_archive_without_a_poster_csv_says_where_it_is_unpacked(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "x.tar.gz", (member("a/b.jpg"), b""), (member("a/notes.csv"), b"x,y\n1,2\n"))
    with pytest.raises(DataError, match=r"holds no poster CSV .* \(a\): collect it from there with source=csv"):
        collect(config(archive, tmp_path / "set"))
    assert (tmp_path / "set" / ".collect" / "unpacked" / "a" / "b.jpg").is_file()


def test_a_set_that_training_cannot_take_is_told(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "x.tar.gz", (member("train.csv"), b"image,genres\nx.jpg,Drama\n"))
    with pytest.raises(DataError, match=r"is unpacked in .*, but training cannot take it: 1 of 1 posters"):
        collect(config(archive, tmp_path / "set"))


class FileServer:
    """Serves one file, in ranges where it is asked to, and breaks off."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.tag: str | None = '"1"'
        self.ranges = True
        self.most = [len(content)]
        """Bytes after which each answer breaks off; the last one holds for all others."""
        self.asked: list[tuple[str | None, str | None]] = []
        """``Range`` and ``If-Range`` of each request."""
        self.sent = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range"), self.headers.get("If-Range")
                outer.asked.append(asked)
                begin, status = 0, 200
                if asked[0] and outer.ranges and asked[1] == outer.tag:
                    begin, status = int(asked[0].removeprefix("bytes=").rstrip("-")), 206
                rest = outer.content[begin:]
                self.send_response(status)
                if outer.tag:
                    self.send_header("ETag", outer.tag)
                if status == 206:
                    self.send_header("Content-Range", f"bytes {begin}-{len(outer.content) - 1}/{len(outer.content)}")
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                most = outer.most.pop(0) if len(outer.most) > 1 else outer.most[0]
                outer.sent += len(rest[:most])
                with suppress(ConnectionError):
                    self.wfile.write(rest[:most])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/set.tar.gz"

    def __enter__(self) -> "FileServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served(colour_posters: Path, tmp_path: Path) -> Iterator[FileServer]:
    with FileServer(packed(colour_posters, tmp_path / "x.tar.gz").read_bytes()) as running:
        yield running


def test_a_download_goes_on_where_it_broke_off(served: FileServer, tmp_path: Path) -> None:
    served.most = [9000, 9000, 0, len(served.content)]
    digest = hashlib.sha256(served.content).hexdigest()
    collect(config(served.address, tmp_path / "set", sha256=digest))
    assert len(read_csv(tmp_path / "set" / "train.csv")) == 120
    assert served.asked == [(None, None), *(("bytes=" + at, '"1"') for at in ("9000-", "18000-", "18000-"))]
    assert served.sent == len(served.content)
    collect(config(served.address, tmp_path / "set", sha256=digest))
    assert len(served.asked) == 4
    assert not list((tmp_path / "set" / ".collect").glob("archive*[!n]"))


def test_a_download_goes_on_in_another_run(served: FileServer, tmp_path: Path) -> None:
    served.most = [9000, 0, 0, 0]
    with pytest.raises(DataError, match=r"was cut short: 9,000 of [\d,]+ bytes came; 9,000 bytes are kept"):
        collect(config(served.address, tmp_path / "set"))
    served.most = [len(served.content)]
    collect(config(served.address, tmp_path / "set"))
    assert served.asked[-1] == ("bytes=9000-", '"1"')


@pytest.mark.parametrize("change", ["tag", "no tag", "no ranges", "weak tag"])
def test_a_part_of_another_file_is_thrown_away(served: FileServer, tmp_path: Path, change: str) -> None:
    if change in ("no tag", "weak tag"):
        served.tag = None if change == "no tag" else 'W/"1"'
    served.most = [9000, 0, 0, 0]
    if served.tag != '"1"':
        served.most = [9000]
    with pytest.raises(DataError, match="was cut short"):
        collect(config(served.address, tmp_path / "set"))
    served.most = [len(served.content)]
    served.tag = '"2"' if change == "tag" else served.tag
    served.ranges = change != "no ranges"
    collect(config(served.address, tmp_path / "set"))
    assert len(read_csv(tmp_path / "set" / "train.csv")) == 120


def test_an_archive_that_is_not_there_or_too_large_is_told(served: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no archive at"):
        collect(config(tmp_path / "nowhere.zip", tmp_path / "set"))
    with pytest.raises(DataError, match=r"has [\d,]+ bytes, more than max_bytes=1,000"):
        collect(config(served.address, tmp_path / "other", max_bytes=1000))


def test_a_run_that_was_killed_while_it_unpacked_goes_on(
    colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(colour_posters, tmp_path / "x.tar.gz")

    original = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "train.csv":
            raise KeyboardInterrupt
        return original(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(StoppedError):
            collect(config(archive, tmp_path / "set"))
    collect(config(archive, tmp_path / "set"))
    assert len(read_csv(tmp_path / "set" / "train.csv")) == 120
    assert len(list((tmp_path / "set" / "Images").iterdir())) == 120
    assert not (tmp_path / "set" / ".collect" / "unpacked").exists()
