# Every target sets itself up: the first one builds .venv, later ones find it done.
#   make setup | demo | test | bench | docs | pictures | lint | format | lock | clean
#   make setup PYTHON=/path/to/python3.12     another interpreter
#   make test PYTEST_ARGS="-m 'not slow'"     fewer tests

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REQUIREMENTS := requirements.txt requirements-dev.txt constraints.txt

# TensorFlow has wheels for Python 3.11 to 3.13. 3.11 comes first because constraints.txt was made with it.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
endif

# Scripts in benchmarks/ and examples/ find the packages without an installation.
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench docs pictures lint browser format lock clean

help:
	@sed -n '1,4s/^# \{0,1\}//p' Makefile

setup: $(STAMP)

# Fails with the way out where there is no Python of the right age, or one without its venv module.
define require_python
@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null; then \
	echo "Python 3.11, 3.12 or 3.13 is needed; $(or $(PYTHON),python3) is: $$( \
		"$(or $(PYTHON),python3)" --version 2>&1 | head -n 1 )" >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12)," >&2; \
	echo "or name it: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 2; \
fi
@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "$(PYTHON) has no venv module. Debian, Ubuntu: apt install python3-venv" >&2; \
	echo "(or python3.X-venv, for its version)." >&2; \
	exit 2; \
fi
endef

$(STAMP): $(REQUIREMENTS)
	$(require_python)
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt -r requirements-dev.txt -c constraints.txt
	@touch $@

demo: setup
	$(BIN)/python -m proxy_keras.demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The server's page is tested in a real browser.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else \
		echo "Chromium is needed for the tests of the page (Debian, Ubuntu: apt install chromium)." >&2; exit 2; \
	fi

test: lint browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: setup
	@set -e; for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" $(BENCH_ARGS); \
	done

# The documentation as a site, in site/: a link that leads nowhere is an error.
docs: setup
	$(BIN)/mkdocs build --strict
	@echo "Look at it with: $(BIN)/python -m http.server --directory site"

# The pictures of the methods in it, drawn anew.
pictures: setup
	PYTHONPATH=$(CURDIR):$(CURDIR)/benchmarks $(BIN)/python docs/pictures.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Resolves the ranges anew, in an environment of its own, and writes down what came out.
lock:
	$(require_python)
	"$(PYTHON)" -m venv --clear .lock-venv
	.lock-venv/bin/python -m pip install --quiet -r requirements.txt -r requirements-dev.txt
	{ echo "# Exact versions that were tested together. Written by \`make lock\`; used by \`make setup\`."; \
		.lock-venv/bin/python -m pip freeze; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	rm -rf .lock-venv

# Only what this file and its tools made: never a folder of runs.
clean:
	rm -rf $(VENV) .lock-venv build dist site proxy_attention_keras.egg-info \
		.pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find proxy_keras tuner export serve tests benchmarks examples -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
