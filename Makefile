# In a fresh clone: `make demo`, `make app` or `make test`. Each creates .venv first; the next one finds it ready.

# The first interpreter that runs and is new enough (version managers leave shims that only answer "not found").
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
APP := $(VENV)/.installed-app
TRAIN := $(VENV)/.installed-train
CORE := $(VENV)/.installed
# A larger install holds everything that a smaller one does.
READY := $(firstword $(wildcard $(DEV) $(APP) $(TRAIN)) $(CORE))
READY_APP := $(firstword $(wildcard $(DEV)) $(APP))
READY_TRAIN := $(firstword $(wildcard $(DEV)) $(TRAIN))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: help demo app train test test-fast lint types format docs media house clean
.DELETE_ON_ERROR:

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## Harmonize a melody from examples/ with the embedded model.
	$(BIN)/python generate.py --prompt examples/ode-to-joy.mid --out out/ode-to-joy.mid --force
	@echo
	@echo "Listen:   open out/ode-to-joy.mp3 in any player."
	@echo "Look:     open out/ode-to-joy.svg in a browser, or out/ode-to-joy.musicxml in a notation program."
	@echo "Your own: $(BIN)/python generate.py --prompt your-melody.mid"
	@echo "A page:   make app"

train: $(READY_TRAIN) ## Train the default model with the settings of configs/chorales.yaml (hours on two cores).
	$(BIN)/accelerate launch train.py

app: $(READY_APP) ## Open the page: draw or upload a melody, hear and see its harmony.
	$(BIN)/descant app

test: $(DEV) ## Run every test, in two processes.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15

test-fast: $(DEV) ## Run the unit, property, golden and packaging tests that are not slow: under three minutes.
	$(BIN)/python -m pytest -m "not slow" tests/unit tests/property tests/golden tests/packaging

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

media: $(DEV) ## Make the pictures and sounds of the documentation again: docs/media.
	$(BIN)/python tools/make_media.py

house: $(DEV) ## Measure the two packages, now and before they were redrawn: docs/architecture.md.
	$(BIN)/python tools/house.py

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

$(APP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Descant and its page into $(VENV) (a few minutes the first time) ..."
	$(INSTALL) '.[app]'
	@touch $@ $(CORE)

$(TRAIN): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Descant and what training needs into $(VENV) (several minutes the first time) ..."
	$(INSTALL) '.[train]'
	@touch $@ $(CORE)

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Descant and its development tools into $(VENV) (a few minutes the first time) ..."
	$(INSTALL) '.[dev]'
	@touch $@ $(CORE)
