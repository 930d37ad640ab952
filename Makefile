# Two commands do everything on a fresh machine: `make demo` and `make test`. Neither needs root.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# A stamp newer than the lock means the venv holds exactly what the lock says.
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint type bench golden docs lock node-image clients fuzz soak clean

help: ## Show what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## Install the project and its tools into a venv

demo: $(STAMP) ## Push the rules and allowlists to the local stack, replay a day, show the alerts
	$(BIN)/ruledeploy demo

test: $(STAMP) ## Run all tests; the summary says what a missing Docker, Java, Python or internet cost
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP) ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type: $(STAMP) ## Check types, strictly
	$(BIN)/mypy

bench: $(STAMP) ## Measure, as ratios against a peer in the same run
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

golden: $(STAMP) ## Rewrite the golden files from what the code says now; review the diff
	RULEDEPLOY_GOLDEN=rewrite $(BIN)/python -m pytest -q tests -k golden

docs: $(STAMP) ## Rewrite the generated pages of docs/
	$(BIN)/python scripts/generate_docs.py

lock: ## Resolve dependencies anew into requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --extra dev --no-emit-index-url pyproject.toml -o requirements.lock

node-image: ## Assemble an Elasticsearch node from Maven Central and make a Docker image of it
	scripts/node-image

clients: $(STAMP) ## Run third-party clients, each from its own package, against the local stack
	$(BIN)/python -m pytest tests/clients tests/contract/test_engines.py $(PYTEST_ARGS)

fuzz: $(STAMP) ## Run the property, differential and generated-request tests for longer
	DIFF_WORLDS=$${DIFF_WORLDS:-200} FUZZ_REQUESTS=$${FUZZ_REQUESTS:-20000} $(BIN)/python -m pytest tests/property tests/contract/test_generated.py tests/integration/test_engine_differential.py --hypothesis-profile=long $(PYTEST_ARGS)

soak: $(STAMP) ## Run the gap, crash and fault tests of pushes for longer (hours), each part on a line
	RULEDEPLOY_SOAK=1 $(BIN)/python -u -m pytest -v --tb=short tests/property tests/integration -k 'fault or crash or killed or gap or race' --hypothesis-profile=long $(PYTEST_ARGS)

clean: ## Remove the venv, caches and the local stack's data
	rm -rf $(VENV) .cache .ruledeploy .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
