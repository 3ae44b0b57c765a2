# `make help` lists the targets. The two that matter on a fresh machine: `make up` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The first Python on PATH that is new enough; `make PYTHON=/path/to/python3.12 up` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
# The certificates of the system, as pip and git use them: a company may have added its own.
UV := UV_LINK_MODE=copy UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-1} VIRTUAL_ENV="$$(pwd -P)/$(VENV)" $(BIN)/uv
# The names in services/catalogue.yaml, in its order.
SERVICES := $(shell sed -n '/^services:/,$$s/^  \([a-z][a-z0-9]*\):$$/\1/p' services/catalogue.yaml)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links
PREREQUISITES := $(PYTHON) -m dashcam.stack.prerequisites
# Has the request path compiled, or says why not and fails.
COMPILED := $(BIN)/python -m dashcam.stack.compiling

$(BIN)/uv: requirements-uv.txt
	@$(MAKE) --no-print-directory python
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.run: $(BIN)/uv requirements.txt observability/pyproject.toml dashcam/pyproject.toml
	@echo "installing the locked packages"
	@# Compiled here, once: else every program would compile what it imports, all at the same time.
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation -e observability -e dashcam
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt | compiled
	@echo "installing the locked tools for tests"
	@$(UV) pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: help python prerequisites prerequisites-test prerequisites-guard prerequisites-node prerequisites-clock compiled venv dev lock lint
.PHONY: up down restart status logs test test-unit test-contract test-local test-browser test-integration test-shifted-clock

# `target: ## Group: text` shows a target; `# text` is for those that CI or another target calls.
GROUPS := Try it,Kubernetes,Change it,Real programs,Measure,More
help: ## Change it: List the targets that people want; the others are in the Makefile and in *.mk
	@awk -v groups='$(GROUPS)' 'BEGIN { count = split(groups, order, ","); for (i in order) known[order[i]] = 1 } \
		/^[a-z][a-z0-9 -]*:.*## / { name = $$0; sub(/:.*/, "", name); sub(/ .*/, "", name); text = $$0; sub(/.*## /, "", text); \
			group = text; sub(/: .*/, "", group); if (group in known) sub(/^[^:]*: /, "", text); else group = "More"; \
			lines[group] = lines[group] sprintf("  make %-18s %s\n", name, text) } \
		END { for (i = 1; i <= count; i++) if (order[i] in lines) printf("%s%s\n%s", (i > 1 ? "\n" : ""), order[i], lines[order[i]]) }' \
		$(MAKEFILE_LIST)

up: ## Try it: Install what is missing, start everything in the background, wait until it is ready
	@$(MAKE) --no-print-directory prerequisites venv
	@$(BIN)/dashcam up

down: python $(VENV)/.run ## Try it: End everything that `make up` started
	@$(BIN)/dashcam down

restart: down up ## Try it: Down and up in turn

status: python $(VENV)/.run ## Try it: What is up, since when, where; fails unless every part is ready
	@$(BIN)/dashcam status

logs: python $(VENV)/.run ## Try it: Follow the log lines of all services, until Ctrl-C
	@$(BIN)/dashcam logs --follow

python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed, and none is on PATH as python3 or python3.N." >&2; \
		echo "Install one (Debian 12: apt-get install python3; macOS: brew install python), or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is no Python 3.11 or newer ($$($(PYTHON) --version 2>&1)); name another: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@# The shell is asked where it is, never Make, which would write a quote or a dollar of the path into the command.
	@case "$$(pwd -P)" in *[:\"\$$\`\\]*) printf 'make: this folder is %s, and no Python environment works in a path with : " $$ ` or \\ in it: move the checkout.\n' \
		"$$(pwd -P)" >&2; exit 1;; esac
	@# An environment whose Python is gone, or that was made in another folder, does not work: make it anew.
	@if test -e $(VENV) && ! { $(BIN)/python -c '' && grep -qF " $$(pwd -P)/$(VENV)" $(VENV)/pyvenv.cfg; } 2>/dev/null; then \
		pid=$$(cat "$${DASHCAM_STATE_DIR:-.dashcam}/supervisor/supervisord.pid" 2>/dev/null); \
		if test -n "$$pid" && kill -0 "$$pid" 2>/dev/null && ! { ps -p "$$pid" -o args= 2>/dev/null | grep -qv supervisord; }; then \
			echo "make: $(VENV) does not work any more (was the checkout moved?), and a stack runs from it: nothing was changed." \
				"End it with: kill $$pid" >&2; exit 1; fi; \
		echo "$(VENV) is not usable any more and is made anew"; rm -rf $(VENV); fi

prerequisites: python # What `make up` needs of the machine: installed (Debian, as root) or named
	@$(PREREQUISITES) up

prerequisites-test: python # What `make test` needs of the machine
	@$(PREREQUISITES) test

prerequisites-node: python # What `make test-cluster` needs of the machine
	@$(PREREQUISITES) node

prerequisites-guard: python # What `make bench-guard` needs of the machine
	@$(PREREQUISITES) guard

prerequisites-clock: python # What `make test-shifted-clock` needs of the machine
	@$(PREREQUISITES) clock

# Asked each time, for a tenth of a second: so one who installs a compiler later has it with the next `make up`.
compiled: $(VENV)/.run # The request path compiled in place; without a C compiler, why it is not
	@$(COMPILED) || true

venv: $(VENV)/.run compiled # The locked environment of the stack, in .venv
	@:

dev: $(VENV)/.dev ## Change it: The locked environment with linters and test tools, in .venv
	@:

lock: $(BIN)/uv ## Change it: Resolve every requirements.in again into its hashed requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	for name in requirements requirements-uv requirements-build $(SERVICES:%=services/%/requirements) services/template/requirements; do \
		$(COMPILE) $$name.in -c requirements-dev.txt -o $$name.txt; done

# Files side by side, in the order of tests/conftest.py.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
# One more than there are cores: a third of the time is waiting, for processes to start and to end.
WORKERS = $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

test: ## Change it: Lint, generated files, and unit, contract, local and browser tests
	@$(MAKE) --no-print-directory prerequisites-test dev
	@$(COMPILED)
	@$(MAKE) --no-print-directory lint check-generated
	$(BIN)/pytest --durations=10 -n $(WORKERS) $(SIDE_BY_SIDE) tests/unit tests/contract
	@# Three at a time and no more, for these tests hold times; a stack that is idle needs little.
	$(BIN)/pytest --durations=10 -n 3 $(SIDE_BY_SIDE) tests/local tests/browser

test-unit: $(VENV)/.dev ## Change it: One folder of the tests; likewise test-contract, test-local, test-browser
test-unit test-contract test-local test-browser: test-%: $(VENV)/.dev
	$(BIN)/pytest --durations=5 tests/$*

.PHONY: test-monolith
test-monolith: $(VENV)/.dev # The contract tests of car and minus, with both in one process
	CAR_AND_MINUS=together $(BIN)/pytest -n $(WORKERS) $(SIDE_BY_SIDE) \
		$(filter-out %_deployed.py,$(wildcard tests/contract/test_car_*.py tests/contract/test_minus_*.py))

.PHONY: test-servers
test-servers: $(VENV)/.dev # The library below each WSGI server, with several workers
	$(BIN)/pytest --durations=5 tests/servers

.PHONY: test-distributions
test-distributions: $(VENV)/.dev # Build both distributions, install each into an empty environment, and use it there
	$(BIN)/pytest --durations=5 tests/distributions

.PHONY: test-memory
test-memory: $(VENV)/.dev # Receiver and console within 512 MiB, whatever is sent, stored and asked
	$(BIN)/pytest --durations=5 tests/memory

# A quarter of the time each for the receiver, requests to services, their headers, and command lines.
SECONDS ?= 60
.PHONY: fuzz
fuzz: $(VENV)/.dev ## Change it: Draw odd input for SECONDS=600 (a minute): nothing of ours breaks
	FUZZ_SECONDS=$(SECONDS) $(BIN)/pytest -s tests/fuzz

# What depends on today's date is seen before that date has passed: everything here believes that it is 400 days later.
SHIFTED := PYTHONPATH="$$(pwd -P)/tests/shifted_clock" FAKETIME=+400d FAKETIME_DONT_FAKE_MONOTONIC=1
test-shifted-clock: $(VENV)/.dev prerequisites-clock
	library=$$(ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 2>/dev/null | head -1) && \
		$(SHIFTED) LD_PRELOAD=$$library $(BIN)/pytest -n $(WORKERS) $(SIDE_BY_SIDE) tests/unit tests/contract

lint: $(VENV)/.dev ## Change it: ruff, spelling, dead code, the walls between the parts, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/lint-imports
	$(BIN)/mypy

.PHONY: services-generated dashboards telemetry-schema generated check-generated dashboards-preview docs-configuration docs-decisions bench-servers bench-backend bench-store bench-console screenshots

dashboards: $(VENV)/.dev ## Change it: Write dashboards/generated from its sources
	$(BIN)/python -m dashboards.src

services-generated: $(VENV)/.dev ## Change it: Write what is made from services/catalogue.yaml
	@$(BIN)/python -m dashcam.registry

.PHONY: can-release contracts
can-release: $(VENV)/.dev ## Change it: Whether this version of SERVICE=car fits what runs (RUNNING=versions.json), by contracts
	@test -n "$(SERVICE)" || { echo "make: name the service: make can-release SERVICE=car" >&2; exit 2; }
	@$(BIN)/dashcam can-release $(SERVICE) $(if $(RUNNING),--running "$(RUNNING)")

contracts: $(VENV)/.dev ## Change it: Write services/contracts from what each consumer's client asks and needs
	WRITE_CONTRACTS=1 $(BIN)/pytest -q tests/contract/test_contracts_consumers.py

.PHONY: new-service remove-service test-service
new-service: $(VENV)/.dev ## Change it: Make the service NAME=invoices from services/template, complete
	@test -n "$$NAME" || { echo "make: name the service: make new-service NAME=invoices" >&2; exit 2; }
	@$(BIN)/python -m dashcam.scaffold new "$$NAME" $(if $(PORT),--port "$$PORT") $(if $(OWNER),--owner "$$OWNER") $(if $(ABOUT),--about "$$ABOUT")

remove-service: $(VENV)/.dev ## Change it: Take the service NAME= away again; refuses what was changed (FORCE=1)
	@test -n "$$NAME" || { echo "make: name the service: make remove-service NAME=invoices" >&2; exit 2; }
	@$(BIN)/python -m dashcam.scaffold remove "$$NAME" $(if $(FORCE),--force)

# The tests of one service (NAME=), and those that hold each service of the catalogue
test-service: $(VENV)/.dev check-generated
	@test -n "$$NAME" || { echo "make: name the service: make test-service NAME=invoices" >&2; exit 2; }
	$(BIN)/pytest -q tests/unit/$$NAME tests/contract/test_$${NAME}_*.py tests/contract/test_every_service.py tests/contract/test_urls_rules.py tests/unit/registry

generated: services-generated dashboards docs-configuration docs-decisions telemetry-schema ## Change it: Write every generated file again from its source

check-generated: $(VENV)/.dev ## Change it: Fail when a generated file is not what its sources give
	$(BIN)/python -m dashcam.registry --check
	$(BIN)/python -m dashboards.src --check
	$(BIN)/python -m telemetry_schema --check
	$(BIN)/python -m docs.configuration_page --check
	$(BIN)/python -m docs.decisions --check

telemetry-schema: $(VENV)/.dev # Write telemetry_schema/registry from what the code declares
	$(BIN)/python -m telemetry_schema

dashboards-preview: $(VENV)/.run ## Change it: Draw the dashboards from the running stack's data, as pages in .dashcam/dashboards
	@$(BIN)/python -m dashboards.preview

docs-decisions: $(VENV)/.dev # Write docs/adr/README.md from the titles of the decisions
	$(BIN)/python -m docs.decisions --write

docs-configuration: $(VENV)/.dev # Write docs/configuration.md from the settings that the code declares
	$(BIN)/python -m docs.configuration_page --write

bench-servers: $(VENV)/.dev # Measure WSGI servers side by side (needs wrk and h2load)
	$(BIN)/python -m benchmarks.servers

SPANS ?= 100000
bench-backend: $(VENV)/.dev ## Measure: Measure the embedded backend beside Jaeger and otel-desktop-viewer, with SPANS=100000 (needs Go and a C compiler)
	@$(BIN)/python -m dashcam.stack.build_tools jaeger otel-desktop-viewer
	$(BIN)/python -m benchmarks.backend --spans $(SPANS)

bench-store: $(VENV)/.dev # Measure the embedded backend alone, with every query, on a million spans and lines
	$(BIN)/python -m benchmarks.backend.embedded

bench-console: $(VENV)/.dev # Measure the console's pages on a store of a million spans
	$(BIN)/python -m benchmarks.console

screenshots: $(VENV)/.dev # Take the pictures in docs/img from the running stack
	$(BIN)/python docs/screenshots.py

# The image of each service. ENGINE is docker, podman or buildah; ENGINE_FLAGS go to its build command; BASE
# is any image with Python 3.11 (pin it by digest: BASE=python:3.11-slim-bookworm@sha256:...).
ENGINE ?= $(shell for engine in docker podman buildah; do $$engine version >/dev/null 2>&1 && echo $$engine && break; done)
ENGINE_FLAGS ?=
BASE ?= docker.io/library/python:3.11-slim-bookworm
IMAGES ?= dashcam
TAG ?= $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' observability/version.py)
REVISION ?= $(shell git rev-parse HEAD)
# Times in an image are those of the commit, where the engine can set them: the same commit, the same image.
COMMIT_TIME = $(shell git log -1 --format=%ct)
REPRODUCIBLE = $(if $(filter docker,$(ENGINE)),--build-arg SOURCE_DATE_EPOCH=$(COMMIT_TIME),--timestamp $(COMMIT_TIME))

.PHONY: images $(SERVICES:%=image-%) test-images

images: $(addprefix image-,$(SERVICES)) ## Kubernetes: Build the services' images with docker, podman or buildah (ENGINE=, BASE=)

$(addprefix image-,$(SERVICES)): image-%:
	@test -n "$(ENGINE)" || { echo "images need docker, podman or buildah, and none of them works here (Debian: apt-get install podman)" >&2; exit 1; }
	$(ENGINE) build $(REPRODUCIBLE) $(ENGINE_FLAGS) --build-arg BASE=$(BASE) \
		--build-arg REVISION=$(REVISION) --build-arg SERVICE=$* --build-arg VERSION=$(TAG) \
		-f services/Dockerfile -t $(IMAGES)/$*:$(TAG) .

# Docker pulls BASE. Where there is podman alone, and root, the base is made of packages, beside the images of the
# tests' own node: no image registry need be reached.
OF_PACKAGES = $(filter podman-file-0,$(ENGINE)-$(origin BASE)-$(shell id -u))
test-images: $(VENV)/.dev ## Real programs: Build the images, run each, and look inside (with ENGINE, BASE as for images)
	$(if $(OF_PACKAGES),PYTHONPATH=tests:tests/apiserver $(BIN)/python -m onenode.engine --,ENGINE="$(ENGINE)" \
		ENGINE_FLAGS="$(ENGINE_FLAGS)" BASE="$(BASE)") $(BIN)/pytest --durations=5 tests/images

.PHONY: scenarios scenarios-orders scenarios-drawn

# Drawn ones: the same few each time in CI, and fifty that nobody has seen each night.
SEEDS = 50
SEED = $(shell expr $$(date +%s) / 86400 \* $(SEEDS))

scenarios: $(VENV)/.dev prerequisites ## Try it: Break a stack of its own in every known way; the diagnosis must name each cause
	$(BIN)/dashcam scenario verify --all --drawn 5 --stacks 3 --again 3 --junit .dashcam/scenarios.xml --markdown .dashcam/scenarios.md

scenarios-orders: $(VENV)/.dev prerequisites ## Try it: The same with faults of messages and orders, in traffic that orders cars
	$(BIN)/dashcam scenario verify --orders --stacks 3 --again 3 --junit .dashcam/orders.xml --markdown .dashcam/orders.md

scenarios-drawn: $(VENV)/.dev prerequisites ## Try it: The same with faults that seeds draw: make scenarios-drawn [SEED=1] [SEEDS=50]
	$(BIN)/dashcam scenario verify --drawn $(SEEDS) --seed $(SEED) --stacks 3 --junit .dashcam/drawn.xml --markdown .dashcam/drawn.md

include services/images.mk
include services/web/browser/tools.mk
include k8s/tools.mk
include benchmarks/bench.mk
include benchmarks/loss.mk
include benchmarks/rca.mk
include tests/integration/tools.mk
include tests/search_server/tools.mk
include tests/log_agents/tools.mk

include dashboards/recordings.mk
include docs/docs.mk
include tests/walks/tools.mk
include .github/checks.mk
