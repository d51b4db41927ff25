# make demo   see a model learn the built-in demo posters, be scored, and tell genres
# make test   every check and every test
# Both build .venv first; README.md has the plain commands behind them.
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv-security/bin
RUN := outputs/demo
REPORTS := outputs/security
PIP := python -m pip install --quiet --disable-pip-version-check
# The locks name everything: without resolving, a release newer than they are can bring nothing in, nor a conflict.
INSTALL := $(PIP) --no-deps --require-hashes -r
OURSELVES := $(PIP) --no-deps -e .

.PHONY: demo test check coverage fast clean-cache lock security

demo: .venv/installed
	rm -rf $(RUN)
	$(BIN)/python scripts/train.py data=demo model=tiny experiment=demo hydra.run.dir=$(RUN)/train
	$(BIN)/python scripts/evaluate.py checkpoint=$(RUN)/train/checkpoints/best.ckpt hydra.run.dir=$(RUN)/evaluate
	$(BIN)/python scripts/predict.py checkpoint=$(RUN)/train/checkpoints/best.ckpt \
	    'posters=data/demo/*/Images/demo000*.jpg' annotate=true hydra.run.dir=$(RUN)/predict
	@echo
	@echo "pictures with their genres:  $(RUN)/predict/annotated/"
	@echo "scores, by genre too:        $(RUN)/evaluate/"
	@echo "TensorBoard:                 $(BIN)/tensorboard --logdir $(RUN)/train"

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Which lines no test runs, in processes that tests start too: outputs/coverage/index.html.
coverage: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=html:outputs/coverage --cov-report=term --cov-fail-under=95

fast: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What was learnt about pictures is kept there; the next run learns it again.
clean-cache:
	rm -rf ~/.cache/postergenre

# What is installed, by the hash of every file: written anew from pyproject.toml, with the newest versions that fit.
LOCK := $(TOOLS)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
    --generate-hashes --no-annotate --no-header --no-emit-index-url
lock: .venv-security/installed
	$(LOCK) -o requirements/base.txt
	$(LOCK) --all-extras -o requirements/dev.txt
	$(subst pyproject.toml,,$(LOCK)) --group security -o requirements/security.txt

# Faults of our code and of what it stands on, and a bill of materials (CycloneDX, licences in it).
security: .venv/installed-dev .venv-security/installed
	mkdir -p $(REPORTS)
	$(TOOLS)/bandit --quiet --recursive --configfile pyproject.toml src scripts
	$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o $(REPORTS)/sbom.json .venv/bin/python
	$(TOOLS)/pip-audit --require-hashes --disable-pip --requirement requirements/dev.txt

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv-security/installed: requirements/security.txt
	$(PYTHON) -m venv .venv-security
	$(TOOLS)/$(INSTALL) requirements/security.txt
	touch $@

.venv/installed: .venv/bin/python pyproject.toml requirements/base.txt
	$(BIN)/$(INSTALL) requirements/base.txt
	$(BIN)/$(OURSELVES)
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml requirements/dev.txt
	$(BIN)/$(INSTALL) requirements/dev.txt
	$(BIN)/$(OURSELVES)
	touch $@ .venv/installed
