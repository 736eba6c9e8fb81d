SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait more than they compute, so more processes than processors pay off. Groups: tests/grouping.py.
TEST_PROCESSES ?= 4
SIDE_BY_SIDE := -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder --max-worker-restart 0
# Of `make interop`, as an expression of pytest's -k: all when empty, else such as "python or go".
LANGUAGES ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(BIN)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …")'
	@echo "Setting up $(VENV) with the packages of requirements.lock: one to three minutes, the first time only"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

.PHONY: setup
setup: $(BIN)/.ready ## Make .venv with everything the other targets need

.PHONY: demo
demo: setup ## Start a server, run the main job on real data, show what is pushed, stop
	$(BIN)/python examples/demo.py

.PHONY: test
test: setup ## Run the whole test suite, in several processes
	@echo "Running the whole suite in $(TEST_PROCESSES) processes: about a quarter of an hour on two processors"
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

.PHONY: test-fast
test-fast: setup ## Run what needs no engine server: unit tests, and the contract suite over DuckDB and SQLite
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not engine_server" tests/unit tests/contract tests/test_*.py

.PHONY: engines
engines: setup ## Fetch the engine servers that the tests start, once, into a cache folder
	$(BIN)/python -m tests.servers

.PHONY: test-engines
test-engines: engines ## Run the contract suite over all engines, one line for each at the end
	$(BIN)/python -m pytest tests/contract tests/engines --by-engine

.PHONY: policies
policies: engines ## Judge 20,000 texts by chance against row and column policies, on DuckDB and on PostgreSQL; all by hand on Spark and Trino
	@echo "Judging twice 20,000 texts: about half an hour"
	$(BIN)/python tests/policies/by_hand.py spark trino
	$(BIN)/python tests/policies/generated.py duckdb 20000
	$(BIN)/python tests/policies/generated.py postgresql 20000

.PHONY: interop
interop: setup ## Follow docs/clients against a live server: a program in each language that has its toolchain here
	@echo "Building and running the quickstarts: about ten minutes at first, then about two"
	$(BIN)/python -m pytest tests/clients -rs -v -k "$(LANGUAGES)"

.PHONY: compat
compat: engines ## Read every type of every engine with every Arrow library; write the table in docs/engines.md
	@echo "Building readers in four languages and starting the engines: about ten minutes at first, then about three"
	PYTHONPATH=tests/plugins $(BIN)/python -m tests.compat

.PHONY: readme
readme: setup ## Follow README.md word by word in a fresh clone, but for make test
	@echo "Following README.md in a fresh clone: about five minutes"
	$(BIN)/python -m tests.readme

.PHONY: lint
lint: setup ## Check style, layers, types and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/buf lint

.PHONY: fmt
fmt: setup ## Format the code and fix what can be fixed by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: setup ## Write queryengine/v1 from protos, and the blocking Python client from the one for asyncio
	rm -f queryengine/v1/*_pb2*.py*
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=. --pyi_out=. protos/queryengine/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc -Iprotos --grpc_python_out=. protos/queryengine/v1/*_service.proto
	$(BIN)/python -m tools.blocking_client

.PHONY: check-generated
check-generated: generate ## Fail when generated code does not match what it is generated from
	git diff --exit-code -- queryengine/v1 queryengine/client/sync

.PHONY: breaking
breaking: setup ## Fail when protos break clients of the last release (of main before the first)
	bash .ci/breaking

.PHONY: serve
serve: setup ## Start a server on loopback with an in-memory DuckDB
	$(BIN)/queryengine serve

.PHONY: bench-quick
bench-quick: setup ## Compare the result path with pyarrow.flight in one run, a minute or two
	$(BIN)/python -m bench.quick

# The extras name this package itself, which is not pinned.
UNPINNED := pip queryengine setuptools
.PHONY: lock
lock: setup ## Pin every dependency again in requirements.lock
	$(BIN)/pip-compile --quiet --extra dev --strip-extras $(addprefix --unsafe-package ,$(UNPINNED)) --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-annotate \
		--upgrade --output-file requirements.lock pyproject.toml

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
