# Everything a newcomer needs; `make` alone lists it. Python 3.11+, make and git are enough.

PYTHON ?= python3
BIN := .venv/bin
DATA ?= .trunkline

.DEFAULT_GOAL := help
.PHONY: help setup check check-style check-types check-imports format test browser up demo down docs bench secrets images compose-test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## install everything into .venv, by the lock
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Trunkline needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## style, types and architecture; under 15 s
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target check-style check-types check-imports

check-style:
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

check-types:
	$(BIN)/basedpyright --warnings

check-imports:
	$(BIN)/lint-imports --no-logo --no-cache

format: setup ## put the code into its form
	$(BIN)/ruff check --quiet --fix . || true
	$(BIN)/ruff format --quiet .

test: setup browser ## all tests, with real servers on free ports, and a real browser
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

browser: # for the tests of the monitor; without one they are skipped, and say so
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get install --quiet --quiet --yes --no-install-recommends chromium >/dev/null; } || \
	  echo "no chromium, and no way to install it here: the tests in a browser will be skipped"

up: setup ## the whole system on this machine; Ctrl-C ends it
	$(BIN)/trunkline up --data $(DATA)

demo: setup ## the main job on real input, from an empty system to its end
	$(BIN)/trunkline demo

down: setup ## end a system that runs in the background
	$(BIN)/trunkline down --data $(DATA)

secrets: ## passwords and an API key for compose.yaml, made once, in deploy/secrets
	@$(PYTHON) deploy/make_secrets.py

images: ## build every image of compose.yaml
	docker compose build

compose-test: setup ## the system in containers, tried and faulted; needs a Docker engine
	TRUNKLINE_TEST_COMPOSE=1 $(BIN)/python -m pytest tests/compose

docs: setup ## write the generated pages: events, settings
	$(BIN)/python -m docs.generate

bench: setup ## measure beside other task queues, write docs/performance.md; half an hour
	$(BIN)/python -m bench --page docs/performance.md
