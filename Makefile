# `make` alone lists the targets. Everything runs in .venv, which is set up on first use and brought up to
# date when the dependencies change.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
WORKERS ?= 2
OUT := reports/out
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup audit test test-slow mutants bench charts lint types layers format clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with every framework and tool, at the versions of constraints-dev.txt

# hatchling comes first and builds without isolation, so that it too has the version of the constraints.
$(READY): pyproject.toml constraints-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints-dev.txt hatchling
	$(BIN)/python -m pip install --quiet --constraint constraints-dev.txt --no-build-isolation \
		--editable '.[torch,jax,libraries,dev]'
	touch $@

audit: $(READY) ## check every bundled adapter; report and audit.json go to reports/out
	mkdir -p $(OUT)
	$(BIN)/lossproof audit --profile quick --json $(OUT)/audit.json --html $(OUT)

test: lint types layers ## what CI runs: lint, types, layers, tests, and a check of the built wheel
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not slow"

test-slow: $(READY) ## the tests left out of `make test`
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m slow

mutants: $(READY) ## of each spec, the broken losses that are caught and told by kind, and the right ones that are blamed
	$(BIN)/python tests/mutant_table.py --jobs $(WORKERS)

bench: $(READY) ## what verification costs, beside a harness by hand; figures go to reports/out/bench.json
	PYTHONPATH=tests $(BIN)/python -m benchmarks --json $(OUT)/bench.json

charts: $(READY) ## make anew what the report draws with: reports/templates/charts and vendor
	$(BIN)/python reports/make_charts.py

lint: $(READY) ## ruff: mistakes and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict over harness/
	$(BIN)/mypy

layers: $(READY) ## imports point downward only
	$(BIN)/lint-imports --no-logo

format: $(READY) ## rewrite the sources as `make lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what was generated, but not .venv
	rm -rf $(OUT) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find harness specs adapters reports tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)
