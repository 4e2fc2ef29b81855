# The two commands a newcomer needs are `make demo` and `make test`; `make help` lists all.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DRIVER := $(VENV)/.installed-mysql
# Spaces in the project's path are fine: every path below is relative.

.PHONY: help install demo test faults bench docs lint types screenshots check clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## make the virtual environment .venv/ (nothing happens if it is up to date)

$(INSTALLED): requirements.txt requirements-dev.txt requirements-sentry.txt requirements-otel.txt requirements-kafka.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make $@ PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what is needed into $(VENV)/ (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: install  ## play learner events through the whole system on this machine (KEEP=1 leaves it running)
	@DEBUG=true $(BIN)/python manage.py demo $(if $(KEEP),--keep)

test: install $(if $(filter mysql,$(DB)),$(DRIVER))  ## run the whole test suite (DB=postgres or DB=mysql: on such a server of its own)
	@DEBUG=true $(BIN)/python -m tests $(or $(DB),sqlite) -n auto --dist loadfile $(ARGS)

$(DRIVER): requirements-mysql.txt $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-mysql.txt
	@touch $@

faults: install $(if $(findstring mysql,$(ARGS)),$(DRIVER))  ## kill processes at random, a thousand times, and look for what was lost (ARGS="--kills 100 --seed 7")
	@DEBUG=true $(BIN)/python -m tests.faults $(ARGS)

bench: install  ## measure how fast it is, beside what (ARGS="--quick", "--only taking_in", "--write-docs")
	@$(BIN)/python -m benchmarks $(ARGS)

docs: install  ## build the documentation site into var/site
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: install  ## check style
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run

types: install  ## check types
	@DEBUG=true $(BIN)/mypy

screenshots: install  ## take the pictures of docs/images anew (needs Chromium)
	@DEBUG=true SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser -q

check: lint types test  ## style, types and the whole test suite

clean:  ## remove what runs and tools left behind
	rm -rf var .mypy_cache .pytest_cache .ruff_cache .hypothesis
