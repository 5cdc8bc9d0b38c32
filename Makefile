# The two commands of a fresh machine are `make run` and `make test`; each makes .venv and installs first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-slow lint bench bench-bo kill-test clean
.DEFAULT_GOAL := run

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

run: .venv/installed ## the main job: a DARTS search on the embedded digits
	$(BIN)/nas-run

test: .venv/installed ## the default tests, under ten minutes on two cores
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: .venv/installed ## the rest: minutes, or data beyond the embedded sets
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed ## our supernet against a textbook one, in one run
	$(BIN)/python scripts/bench/supernet.py
	$(BIN)/python scripts/bench/startup.py

bench-bo: .venv/installed ## our black-box strategies against Optuna's and SMAC's; they come with .[bench]
	$(BIN)/python scripts/bench/black_box.py --seeds 10
	$(BIN)/python scripts/bench/black_box.py --seeds 50 --only tpe random "Optuna TPE"
	$(BIN)/python scripts/bench/black_box.py --asks

table-%: .venv/installed ## a paper's table, e.g. make table-darts-cifar10 SCALE=small JOBS=2
	$(BIN)/nas-table $*$(if $(SCALE), scale=$(SCALE))$(if $(JOBS), jobs=$(JOBS))

kill-test: .venv/installed ## kill -9 at ten random moments of a darts and of a random run, resume, compare
	$(BIN)/python scripts/kill_and_resume.py

clean:
	rm -rf .venv build dist *.egg-info
