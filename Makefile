PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH := .venv-bench

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

bench: $(BENCH)/.installed  ## ours and its peers in the same run, with the ratio; NAME=kmeans for one of them
	$(BENCH)/bin/python -m tests.benchmarks $(NAME)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Peers want another NumPy than the project.
$(BENCH)/.installed: tests/benchmarks/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:  ## removes the environments, and nothing that was computed
	rm -rf $(VENV) $(BENCH) build *.egg-info
