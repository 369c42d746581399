# Two commands for a fresh clone: `make demo` and `make test`. Each makes its own .venv first; a second run finds it ready.

# The first interpreter that really runs and is new enough (version managers leave shims that answer "not found").
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
CORE := $(VENV)/.installed
# The development install holds everything that the demo needs.
READY := $(if $(wildcard $(DEV)),$(DEV),$(CORE))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: help demo test lint types format docs clean
.DELETE_ON_ERROR:

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## Harmonize a melody from examples/ with the embedded Transformer, then with the GAN.
	$(BIN)/python generate.py --prompt examples/ode-to-joy.mid
	$(BIN)/python generate.py --prompt examples/ode-to-joy.mid --model gan --out out/ode-to-joy-gan.mid --force

test: $(DEV) ## Run every test.
	$(BIN)/python -m pytest --durations=15

lint: $(DEV) ## Check style, formatting and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(DEV) ## Check the types of both packages.
	$(BIN)/mypy

format: $(DEV) ## Rewrite the code in the project's style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## Build the documentation as a site: site/index.html.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## Remove the environment and every cache; datasets, runs and outputs stay.
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed (set PYTHON=/path/to/python3)." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Descant into $(VENV) (a few minutes the first time) ..."
	$(INSTALL) .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Descant and its development tools into $(VENV) (a few minutes the first time) ..."
	$(INSTALL) '.[dev]'
	@touch $@ $(CORE)
