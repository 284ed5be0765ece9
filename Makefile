# `make demo` and `make test` need only Python >= 3.11, pip and gcc; everything else they install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= demo
ARGS ?=
WORKERS ?= auto

.PHONY: setup demo test lint bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[train,ot,readers,language,ray,dev]'
	touch $(STAMP)

demo: setup
	$(BIN)/leadsman demo --out $(OUT) $(ARGS)

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup
	$(BIN)/leadsman methods --markdown > docs/methods.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
