# The project's commands. `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv-tools
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/__init__.py)
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SYSTEM_PACKAGES := chromium nginx-light redis-server zstd
# What make's own command line says goes before NAMEWAVE_HOST and NAMEWAVE_PORT. A HOST of the shell is another thing.
given = $(if $(filter command,$(firstword $(origin $(1)))),NAMEWAVE_$(1)='$($(1))')

.DEFAULT_GOAL := help
.PHONY: help serve training lessons test test-all checked kernels reliability lint format release system-packages image sbom audit clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: .venv/serve.stamp ## Set up what serving needs, and serve on HOST:PORT (127.0.0.1:8000)
	@$(strip $(call given,HOST) $(call given,PORT) $(BIN)/python -m app serve)

training: .venv/train.stamp ## Set up what training needs: then .venv/bin/python -m training train --help
	@echo "Ready: .venv/bin/python -m training train --dataset human --preset wavenet"

lessons: .venv/train.stamp ## Run the closing command of every lesson and check its figures: some minutes
	@$(BIN)/python -m training lessons

test: checked ## Set up the rest, and run lint, types, import rules and the tests, some at the same time
	$(PYTEST) -m "not slow"

test-all: checked .venv-moto/stamp .venv-ray/stamp ## The same with the slow tests: some minutes more
	$(PYTEST)

# The processes of the tests would each compile the kernels, if none were there.
checked: .venv/dev.stamp
	@$(MAKE) --no-print-directory --jobs=2 lint kernels

kernels: .venv/dev.stamp
	@$(BIN)/python -c "from models import prepare; prepare().list_names"

reliability: .venv/dev.stamp ## Run the tests of what the service withstands (docs/reliability.md)
	$(BIN)/python -m pytest tests/reliability

lint: .venv/dev.stamp ## Check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp ## Format the code, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

release: .venv/train.stamp ## Train the models of every shipped list, and publish them into models/artifacts: some hours
	$(BIN)/python -m training release --store models/artifacts

system-packages: ## Install the Debian packages of the full test run
	@if ! command -v apt-get >/dev/null; then echo "No apt-get here: install $(SYSTEM_PACKAGES) by your own means."; exit 0; fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES)

image: ## Build the serving image
	docker build -t namewave -t namewave:$(VERSION) .

# Of an environment that has nothing but this: .venv may have been given what training and the tests need.
sbom: .venv-sbom/stamp ## Write sbom.json (CycloneDX): what the serving environment holds
	$(TOOLS)/bin/cyclonedx-py environment --output-format JSON --output-file sbom.json .venv-sbom/bin/python

# --strict: a package that could not be asked about is no package without findings.
audit: $(TOOLS)/stamp ## Ask the advisory database about every package of serving
	@$(TOOLS)/bin/pip-audit --strict --requirement requirements/serve.txt --require-hashes --disable-pip --progress-spinner off 2> $(TOOLS)/audit.log \
	&& cat $(TOOLS)/audit.log \
	|| { grep '^Found ' $(TOOLS)/audit.log || echo "The advisory database did not answer for every package, so nothing is known. The reason: $(TOOLS)/audit.log"; exit 1; }

$(TOOLS)/stamp: requirements/tools.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet install -r requirements/tools.txt
	@touch $@

.venv-sbom/stamp: requirements/serve.txt $(TOOLS)/stamp
	@echo "Installing what serving needs once more, by itself (about half a minute) ..."
	@rm -rf .venv-sbom
	@$(PYTHON) -m venv --without-pip .venv-sbom
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet --python .venv-sbom/bin/python install --require-hashes --only-binary :all: -r requirements/serve.txt
	@touch $@

# What moto wants and what training wants do not fit into one environment.
.venv-moto/stamp: requirements/moto.txt
	@$(PYTHON) -m venv .venv-moto
	@.venv-moto/bin/python -m pip --disable-pip-version-check --quiet install -r requirements/moto.txt
	@touch $@

# Ray is heavy, and changes the process that it is imported into.
.venv-ray/stamp: requirements/ray.txt
	@$(PYTHON) -m venv .venv-ray
	@.venv-ray/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/ray.txt
	@touch $@

clean: ## Remove the environment and all caches; stores and models stay
	rm -rf .venv .venv-moto .venv-ray .venv-sbom $(TOOLS) sbom.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: Python 3.11 or newer is needed (make serve PYTHON=python3.11)."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The environment could not be made: on Debian, apt-get install python3-venv."; exit 1; }

.venv/serve.stamp: requirements/serve.txt | .venv/bin/python
	@echo "Installing what serving needs (about half a minute) ..."
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/serve.txt
	@touch $@

.venv/train.stamp: requirements/train.txt .venv/serve.stamp
	@echo "Installing what training needs (a minute or two; torch is large) ..."
	@$(PIP) install -r requirements/train.txt
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/train.stamp
	@echo "Installing what the tests need ..."
	@$(PIP) install -r requirements/dev.txt
	@touch $@
