PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Threads that wait leave the core to those that work.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test check bench clean

demo: $(INSTALLED)  ## the whole system on a small corpus made on the spot: prints the table of results
	$(BIN)/python jobs/demo.py

test: $(INSTALLED)  ## all tests
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench  ## ours and its peer in the same run, with the ratio
	$(BIN)/python -m tests.benchmarks

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	touch $@

clean:  ## removes the environment, and nothing that was computed
	rm -rf $(VENV) build *.egg-info
