# `make help` lists the targets. The two that matter on a fresh machine: `make up` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := UV_LINK_MODE=copy VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv
LOCKS := requirements.txt requirements-dev.txt requirements-uv.txt \
	services/car/requirements.txt services/minus/requirements.txt services/web/requirements.txt
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

$(BIN)/uv: requirements-uv.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt

$(VENV)/.run: $(BIN)/uv requirements.txt pyproject.toml
	$(UV) pip install --quiet --require-hashes -r requirements.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(UV) pip install --quiet --require-hashes -r requirements-dev.txt
	touch $@

.PHONY: help venv dev lock lint

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

venv: $(VENV)/.run ## The locked environment of the stack, in .venv

dev: $(VENV)/.dev ## The same with linters and test tools

lock: $(BIN)/uv ## Resolve every requirements.in again into its hashed requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	for name in requirements requirements-uv services/car/requirements services/minus/requirements services/web/requirements; do \
		$(COMPILE) $$name.in -c requirements-dev.txt -o $$name.txt; done

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: dashboards check-generated dashboards-preview

dashboards: $(VENV)/.dev ## Write dashboards/generated from its sources
	$(BIN)/python -m dashboards.src

check-generated: $(VENV)/.dev ## Fail when dashboards/generated is not what its sources give
	$(BIN)/python -m dashboards.src --check
