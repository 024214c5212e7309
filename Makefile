# Works with Python >= 3.11 and make alone; everything else is installed by the targets that need it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTED := $(VENV)/.installed-test

.PHONY: demo test check bench format clean system

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[demo]'
	touch $@

$(TESTED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c requirements.lock -e '.[test]'
	touch $(STAMP) $@

demo: $(STAMP)
	$(BIN)/pgveil demo

# Debian's PostgreSQL 15, psql and pgbench: tests say what they skip where this is not allowed.
system:
	sh tests/kit/install-system.sh

test: $(TESTED) system check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests --ignore=tests/unit

check: $(TESTED)
	$(BIN)/ruff format --check proxy tests
	$(BIN)/ruff check proxy tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 tests/unit

bench: $(TESTED)
	$(BIN)/python -m benchmarks

format: $(TESTED)
	$(BIN)/ruff format proxy tests
	$(BIN)/ruff check --fix proxy tests

clean:
	rm -rf $(VENV) build dist *.egg-info
