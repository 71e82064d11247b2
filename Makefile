# Every target does all that it needs, the environment included.

PYTHON3 ?= python3
VENV ?= .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=

# Real data that lies beside the checkout is used where it is; a value of your own goes first.
ifeq ($(origin SKHYBRID_DATA),undefined)
ifneq ($(wildcard ../shared/data),)
export SKHYBRID_DATA := $(abspath ../shared/data)
endif
endif

# Figures are saved, never shown.
export MPLBACKEND ?= Agg
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env test demo docs lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

env: $(INSTALLED) ## create the environment (.venv) with the pinned versions

# The build backend is installed first, from the same constraints, and the package is built
# without isolation. An isolated build would fetch its backend anew for every installation, and pip
# applies constraints to isolated builds differently from version to version.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON3) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -c constraints.txt hatchling editables
	$(PYTHON) -m pip install --quiet --no-build-isolation -c constraints.txt -e ".[test,demo,docs,progress,dev]"
	touch $@

lint: env ## check style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

test: lint ## check style, then run the tests and the examples in the docstrings
	$(PYTHON) -m pytest --doctest-modules skhybrid tests $(PYTEST_ARGS)

demo: env ## fit the light tunnel four ways; print the table and save the figure
	$(PYTHON) examples/demo_light_tunnel.py

# -E reads every page anew: a page that has not changed would keep quiet about its warnings.
docs: env ## build the documentation into docs/_build/html; a warning is an error
	$(PYTHON) -m sphinx -E -W --keep-going -b html docs docs/_build/html

clean: ## remove the environment and all that was built
	rm -rf $(VENV) build dist docs/_build docs/generated docs/auto_examples docs/sg_execution_times.rst
	rm -rf .pytest_cache .ruff_cache
	find skhybrid tests examples benchmarks docs -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
