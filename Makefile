# `make demo` and `make test` are each enough on a machine that has Python 3.11 or newer and a C compiler.
# Variables: PYTHON=... the Python to use, TORCH_INDEX=https://... where torch comes from,
# PYTEST_ARGS=... handed to pytest. `.ci/setup` does the installing, once.
export PYTHON TORCH_INDEX
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)
# Written after the hosts were installed; a newer list has them installed again.
HOSTS := .venv/.metalcx-hosts
DOCS := .venv/.metalcx-docs
NOTEBOOKS := .venv/.metalcx-notebooks
LOWEST := .venv-lowest

.PHONY: help setup hosts demo test test-slow test-lowest soak notebooks lint format types wheel docs clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make .venv and install
	@./.ci/setup

hosts: setup ## install the hosts and engines of the slow tests
	@test $(HOSTS) -nt requirements/hosts.txt || { \
	    $(BIN)/python -m pip install --disable-pip-version-check --quiet \
	        -c requirements/lock.txt -c requirements/torch.txt -r requirements/hosts.txt && touch $(HOSTS); }

demo: setup ## adapt to a new dataset from five curves and forecast the rest
	@$(BIN)/metalcx demo

test: setup ## the tests that need no network, no GPU and no long time
	$(PYTEST)

test-slow: hosts ## real hosts, engines, long fits
	$(PYTEST) -m "slow and not network"

test-lowest: ## the tests with the oldest versions that pyproject.toml allows (torch as in requirements/torch.txt)
	test -x $(LOWEST)/bin/python || $(or $(PYTHON),python3) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements/torch.txt -r requirements/lowest.txt editables
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements/learn2learn.txt
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	$(LOWEST)/bin/python -m pytest $(PYTEST_ARGS)

soak: setup ## long faults and load, run by hand
	$(PYTEST) -m soak

notebooks: setup ## execute all notebooks from top to bottom
	@test $(NOTEBOOKS) -nt requirements/notebooks.txt || { \
	    $(BIN)/python -m pip install --disable-pip-version-check --quiet -c requirements/lock.txt \
	        -c requirements/torch.txt -c requirements/hosts.txt -r requirements/notebooks.txt && touch $(NOTEBOOKS); }
	$(BIN)/python .ci/notebooks.py run

lint: setup ## ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python .ci/notebooks.py strip

types: setup ## strict mypy
	$(BIN)/mypy

wheel: setup ## build the wheel and load its checkpoint in a clean environment
	$(BIN)/python .ci/check_wheel.py

docs: setup ## build the documentation into site/, strictly
	@test $(DOCS) -nt requirements/docs.txt || { \
	    $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-warn-conflicts \
	        -c requirements/lock.txt -r requirements/docs.txt && touch $(DOCS); }
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict

clean: ## remove what make made
DOCS := .venv/.metalcx-docs
NOTEBOOKS := .venv/.metalcx-notebooks
LOWEST := .venv-lowest

.PHONY: help setup hosts demo test test-slow test-lowest soak notebooks lint format types wheel docs clean
