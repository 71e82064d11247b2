# Every target does everything it needs; it also creates the environment.

PYTHON3 ?= python3
VENV ?= .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=
# Processes that run test files side by side.
TEST_PROCESSES ?= 2

# Measured data beside the checkout are used, unless the variable is set already.
ifeq ($(origin SKHYBRID_DATA),undefined)
ifneq ($(wildcard ../shared/data),)
export SKHYBRID_DATA := $(abspath ../shared/data)
endif
endif

# Processes side by side share the cores, so each computes with one thread.
export OMP_NUM_THREADS ?= 1

# Figures are saved, never shown.
export MPLBACKEND ?= Agg
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help env lint test demo docs demo-check docs-check check clean
# `check` runs its parts in the order in which they are named: the tests run last.
.NOTPARALLEL:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s  %s\n", $$1, $$2}' Makefile

env: $(INSTALLED) ## create the environment (.venv) with the pinned versions

# The build backend is installed first, with the same constraints, and the package is built without
# isolation. An isolated build fetches its backend again for every installation, and pip versions
# differ in how they apply constraints to isolated builds. pip would compile on one core, which takes
# half of the time; a few files of packages are templates that cannot be compiled.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON3) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -c constraints.txt hatchling editables
	$(PYTHON) -m pip install --quiet --no-compile --no-build-isolation -c constraints.txt -e ".[test,demo,docs,progress,dev]"
	-$(PYTHON) -m compileall -qq -j 0 $(VENV)/lib
	touch $@

lint: env ## check style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

test: lint ## check style, then run the tests and the examples in the docstrings
	$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile --doctest-modules skhybrid tests $(PYTEST_ARGS)

demo: env ## fit the light tunnel four ways; print the table and save the figure
	$(PYTHON) examples/demo_light_tunnel.py

# -E reads every page again: sphinx does not repeat the warnings of a page that has not changed.
SPHINX := $(PYTHON) -m sphinx -E -W --keep-going -b html

docs: env ## run the gallery and build the documentation into docs/_build/html; a warning is an error
	$(SPHINX) docs docs/_build/html

docs-check: env ## build the documentation without running the gallery; a warning is an error
	$(SPHINX) -q -D plot_gallery=0 docs docs/_build/check

demo-check: env ## run the demo on few rows for few epochs, to see that it works
	mkdir -p build
	$(PYTHON) examples/demo_light_tunnel.py --quick --figure build/demo_check.png

check: docs-check demo-check test ## all checks of a commit: docs-check, demo-check, test

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build dist docs/_build docs/generated docs/auto_examples docs/sg_execution_times.rst
	rm -rf .pytest_cache .ruff_cache
	find skhybrid tests examples benchmarks docs -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
