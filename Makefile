# Two commands that need nothing set up before: `make quickstart` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STORE ?= store

.PHONY: help quickstart test lint types imports unit gpu-check profile clean

help:
	@echo "make quickstart   set up, then train, sample, measure and compare the models of experiments/quickstart.toml"
	@echo "make test         set up, then lint, type-check and run all tests"
	@echo "make gpu-check    set up, then the checks that need an accelerator (skipped without one)"
	@echo "make profile      the share of loading and logging in every training of the quickstart's store"
	@echo "make clean        delete the environment and the caches; results in $(STORE)/ stay"

# Reinstalled when pyproject.toml changes: entry points are only found after installing.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[st,test]'
	@touch $@

quickstart: $(VENV)/installed
	$(BIN)/tamingplat run experiments/quickstart.toml --store $(STORE) --grids outputs/quickstart.png

test: lint types imports unit

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

imports: $(VENV)/installed
	$(BIN)/lint-imports

# One thread a process: two processes share the cores. A file's tests stay together, so that what its fixtures make is made once.
unit: $(VENV)/installed
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

gpu-check: $(VENV)/installed
	$(BIN)/python -m pytest -m gpu -s tests/gpu

profile: $(VENV)/installed
	$(BIN)/python experiments/benchmarks/training_profile.py $(STORE)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
