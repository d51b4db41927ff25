# make demo   see a model learn the built-in demo posters, be scored, and tell genres
# make test   every check and every test
# Both build .venv first; README.md has the plain commands behind them.
PYTHON ?= python3
BIN := .venv/bin
RUN := outputs/demo

.PHONY: demo test check fast clean-cache constraints

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

# The exact versions that are tested, from the environment as it stands.
constraints: .venv/installed-dev
	$(BIN)/python -m pip list --format=freeze --exclude-editable | grep -vE '^(pip|setuptools)==' > constraints.txt

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/installed
