# Daily work. CI calls the same targets; `make` alone shows them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What an installation depends on: it is done again only when one of these changed.
SOURCES := setup.cfg pyproject.toml prefork_metrics/pyproject.toml constraints.txt
# Some environments forbid it, and each of a hundred processes would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=
# Not compiled: Python does that for what it imports, and most is never imported.
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt

# Three processes more than cores: tests wait for clocks, and those with services for them. More let the
# service's own deadlines pass, which hold where a core is to spare. Each process has services of its
# own, and takes whole files, the longest first: so those with services begin, and the many short ones
# fill the gaps at the end. A file that grew by half fails the gate (tests/support/ledger.py).
UNIT := not integration and not end_to_end
CORES := $(shell nproc 2>/dev/null || echo 2)
PROCESSES ?= $(shell expr $(CORES) + 3)
# What the one stack of `make smoke` shows is held in detail by other tests.
TEST := $(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder -m "not smoke"

# A test at its full size keeps a core busy by itself, and many measure time: no more at once than cores.
SIZED := $(BIN)/pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder
# Beside those that keep machines busy on purpose an alert may well fire.
QUIET := tests/end_to_end/test_no_alerts.py
HAVE_SIZES := 'tests\.sizes|mark\.full|end_to_end\.(doctor|visit)|deploy\.built'

# Compose 2 where it is there, else 1.29.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

# `make up PROFILE=signals` adds traces and logs; COMPOSE_PROFILES=signals in .env does so for each
# `make up`. The other variables make the profile whole: see docker-compose.yml.
PROFILE ?= $(shell sed -n 's/^COMPOSE_PROFILES=//p' .env 2>/dev/null | tail -n 1)
SIGNALS := collector jaeger loki
EVERY_PROFILE := --profile demo --profile signals
ifeq ($(PROFILE),signals)
WITH := $(SIGNALS)
up demo: export GRAFANA_SET = signals
up demo: export OTEL_EXPORTER_OTLP_ENDPOINT = http://collector:4318
up demo: export VIBEBOX_TRACE_STORE_URL = http://jaeger:16686
up demo: export VIBEBOX_LOG_STORE_URL = http://loki:3100
else ifeq ($(PROFILE),)
WITHOUT := $(SIGNALS)
else ifneq ($(filter up demo,$(MAKECMDGOALS)),)
$(error There is no profile $(PROFILE); there is one: make $(firstword $(MAKECMDGOALS)) PROFILE=signals)
endif
up demo: export COMPOSE_PROFILES = $(PROFILE)

# What the labels of the image say. Its time is that of its commit, so that it stays the same image when
# it is built again; changes that are not committed are told by the revision.
up demo image: export IMAGE_VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/_version.py)
up demo image: export IMAGE_REVISION = $(shell git rev-parse HEAD)$(shell git diff --quiet HEAD || echo -dirty)
up demo image: export IMAGE_CREATED = $(shell git log -1 --format=%cI)

.DEFAULT_GOAL := help
.PHONY: help run up demo down logs prepare quick smoke test test-full test-again ledger coverage test-unit test-services dist image check format generate lock benchmark console-assets clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

run: $(VENV)/.installed ## Start VibeBox on this machine (SQLite, http://127.0.0.1:3000); Ctrl-C stops it
	@exec $(BIN)/vibebox run

up: ## Start VibeBox with its database and monitoring by Docker Compose; PROFILE=signals: with traces and logs
	@scripts/compose-secrets
	@$(COMPOSE) $(EVERY_PROFILE) rm --stop --force grafana-demo $(WITHOUT)
	$(COMPOSE) up --build --detach
	@echo "VibeBox http://localhost:3000 · Grafana :3001 · Prometheus :9090 · Alertmanager :9093 (unless .env names other ports)"
	@echo "First account: $(COMPOSE) exec backend vibebox accounts create YOU@EXAMPLE.ORG --operator"

demo: ## The same for a look: Grafana with admin/admin, and nothing of it is kept
	@scripts/compose-secrets
	@$(COMPOSE) $(EVERY_PROFILE) rm --stop --force grafana $(WITHOUT)
	$(COMPOSE) --profile demo up --build --detach agent backend alertmanager prometheus grafana-demo $(WITH)

down: ## Stop what `make up` or `make demo` started; the data stays
	$(COMPOSE) $(EVERY_PROFILE) down

logs: ## Follow the logs of all services of `make up`; Ctrl-C stops it
	@trap : INT; $(COMPOSE) $(EVERY_PROFILE) logs --follow --tail 100 || [ $$? -eq 130 ]

test: $(VENV)/.compiled ## Run every test; parts whose service is not installed are left out and named
	$(TEST) --ledger $(ARGS)

test-again: $(VENV)/.installed-dev ## Run what failed in the last run once more, alone; fails where nothing had
	$(BIN)/pytest --last-failed --last-failed-no-failures none --numprocesses 0 $(ARGS)

ledger: ## Run every test, and write down how long each file takes (tests/seconds.json)
	LEDGER=write $(MAKE) test

quick: $(VENV)/.installed-dev ## The checks, and those unit tests of what changed since BASE (default: main) that fit into a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@told=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$told"; exit 1; }
	@tests=$$($(BIN)/python scripts/changed-tests $(or $(BASE),main)) || exit 1; \
	    [ -z "$$tests" ] || $(BIN)/pytest -q --numprocesses auto -m "$(UNIT)" $(ARGS) $$tests \
	    || [ $$? -eq 5 ]  # all that changed need services

smoke: $(VENV)/.installed-dev ## One stack of the real services: counts through a death, a pull, a terminal, a scrape
	$(BIN)/pytest -q -m smoke $(ARGS) tests/end_to_end/test_smoke.py

coverage: $(VENV)/.installed-coverage ## Run every test, and print how much of app/ they take, by branches, over all processes
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m $(patsubst $(BIN)/%,%,$(TEST)) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

test-unit: $(VENV)/.installed-dev ## Run the tests that need no service, on all cores
	$(BIN)/pytest --numprocesses $(PROCESSES) -m "$(UNIT)" $(ARGS)

test-full: test smoke ## Run every test, and then the long ones at their full size (see tests/sizes.py)
	FULL=true $(SIZED) $(ARGS) $(filter-out $(QUIET), $(shell grep -rlE $(HAVE_SIZES) tests --include='test_*.py'))
	FULL=true $(SIZED) --dist load $(ARGS) $(QUIET)
	FULL=true TEST_PROMETHEUS=3.16 $(SIZED) --dist load $(ARGS) $(QUIET) \
	    tests/end_to_end/test_alerts.py tests/monitoring/boards/test_alive.py

test-services: ## Install PostgreSQL, Docker Engine, a registry, Prometheus, Alertmanager, Redis, nginx, a browser (Debian, as root)
	scripts/install-test-services

prepare: $(VENV)/.installed-dev ## Install VibeBox and what its tests and checks need into .venv

check: $(VENV)/.installed-dev ## Lint, type check, and hold the architecture's import table
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(VENV)/.installed-dev ## Write the files that are generated from the code
	$(BIN)/vibebox settings --write .env.example
	$(BIN)/vibebox metrics --write monitoring/README.md
	$(BIN)/vibebox permissions --write docs/permissions.md
	$(BIN)/python scripts/log_events.py
	$(BIN)/python -m monitoring.grafana.generator
	$(BIN)/python -m monitoring.rules

dist: $(VENV)/.installed-dev ## Build the wheels of this commit into dist/, and list what is in them (PROJECT_URL=URL names a public source)
	@$(BIN)/python scripts/build-dist

image: ## Build the Docker image of this commit, with its labels (IMAGE_SOURCE=URL names a public source)
	docker build --tag vibebox --tag "vibebox:$$IMAGE_VERSION" --build-arg VERSION="$$IMAGE_VERSION" \
	    --build-arg REVISION="$$IMAGE_REVISION" --build-arg CREATED="$$IMAGE_CREATED" \
	    $(if $(IMAGE_SOURCE),--label org.opencontainers.image.source="$(IMAGE_SOURCE)") .

console-assets: ## Copy what the console takes from npm into app/web/console/static/vendor (needs node)
	scripts/console-assets

lock: ## Write constraints.txt anew from the ranges of setup.cfg
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip --disable-pip-version-check install --quiet ./prefork_metrics '.[test,dev]'
	build/lock/bin/pip --disable-pip-version-check freeze --all --exclude vibebox --exclude prefork-metrics --exclude pip --exclude setuptools > constraints.txt
	rm -rf build/lock

benchmark: $(VENV)/.installed-benchmark ## Measure telemetry beside bare Flask, the stock client and other exporters
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove the environment, caches and build results; keep var/ (database)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# An environment made by another Python than the one that is right would stay: so it is looked at first.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "VibeBox needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -c 'import platform; print(platform.python_version())'). Name one: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) has no venv; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(VENV)/bin/python
	@echo "Installing VibeBox into $(VENV) …"
	@$(PIP) --editable ./prefork_metrics --editable '.[otel]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what tests and checks need …"
	@$(PIP) --editable ./prefork_metrics --editable '.[test,dev]'
	@touch $@

# Once, by one process: else all that run tests compile the same files at the same time. What cannot be
# collected is told by the run that follows.
$(VENV)/.compiled: $(VENV)/.installed-dev
	@echo "Compiling what tests import …"
	@$(BIN)/pytest --collect-only --quiet --quiet >/dev/null 2>&1 || true
	@touch $@

$(VENV)/.installed-coverage: $(VENV)/.installed-dev
	@echo "Installing what measures coverage …"
	@$(PIP) 'coverage >=7.10, <8'
	@touch $@

$(VENV)/.installed-benchmark: $(VENV)/.installed
	@echo "Installing what ours is measured beside …"
	@$(PIP) --editable ./prefork_metrics --editable '.[benchmark]'
	@touch $@
