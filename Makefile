# Everything a stranger needs; `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DOCS ?= docs
QUESTION ?= How does Cumulo make sure that deleted documents are not found?
DEMO_DATA = .cumulo/demo/$(subst /,-,$(patsubst /%,%,$(DOCS)))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TORCH_INSTALL = $(PIP) install --no-deps --require-hashes -r requirements/torch.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint bench bench-tree bench-parsing bench-api lock clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(VENV)/base.done: requirements/base.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about a minute)"
	@$(PIP) install --no-deps --require-hashes -r requirements/base.txt
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/dev.done: $(VENV)/base.done requirements/dev.txt
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/torch.done: $(VENV)/dev.done requirements/torch.txt
	@$(TORCH_INSTALL) 2>/dev/null || $(TORCH_INSTALL) --extra-index-url https://download.pytorch.org/whl/cpu
	@touch $@

setup: $(VENV)/torch.done ## Make a complete .venv with `rag` in it, and pull the default model
	@$(BIN)/rag models pull all-minilm-l6-v2
	@$(BIN)/rag models pull smollm2-135m-instruct

demo: $(VENV)/base.done ## Ingest docs/ (or DOCS=/any/folder), ask a question, stream a cited answer
	@$(BIN)/rag init --data-dir '$(DEMO_DATA)'
	@echo '$$ rag ingest $(DOCS)'
	@$(BIN)/rag ingest '$(DOCS)' --data-dir '$(DEMO_DATA)' || test $$? -eq 3 # some files failed
	@echo; echo '$$ rag ask "$(QUESTION)"'
	@$(BIN)/rag ask '$(QUESTION)' --data-dir '$(DEMO_DATA)'
	@echo; echo 'Try next:'
	@echo '  make demo DOCS=/your/folder QUESTION="your question"'
	@echo '  . $(VENV)/bin/activate && export CUMULO_DATA_DIR="$(DEMO_DATA)"'
	@echo '  rag search "access" --k 3        rag documents list        rag --help'

test: setup ## Run lint, types, import contracts and every test lane (small counts)
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q

LANE ?= all
test-slow: setup ## Run full counts: LANE=property, faults, faults:kills-sqlite, … or all
	@CUMULO_TEST_EXAMPLES=500 CUMULO_TEST_FULL=1 $(BIN)/python -m pytest -q -p no:cacheprovider \
		$(if $(filter all,$(LANE)),tests,tests/$(firstword $(subst :, ,$(LANE)))) \
		$(if $(findstring :,$(LANE)),-k '$(lastword $(subst :, ,$(LANE)))')

lint: $(VENV)/dev.done ## Check format, style, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## Measure ingestion against the raw embedder (and sentence-transformers)
	@$(BIN)/python benchmarks/ingest.py

bench-api: setup ## Measure searches over HTTP (PEER=python with txtai[api], see benchmarks/requirements.txt)
	@$(BIN)/python benchmarks/api.py $(if $(PEER),--peer-python $(PEER))

bench-tree: setup ## Measure one run over a whole tree (FOLDER=…): its rate, and memory over time
	@$(BIN)/python benchmarks/tree.py $(FOLDER)

bench-parsing: setup ## Measure parsing alone, per format, beside a library by itself
	@$(BIN)/python benchmarks/parsing.py

TORCH ?= 2.13.0
TORCH_WHEELS ?= https://download.pytorch.org/whl/cpu/torch/
lock: ## Resolve the dependencies again into requirements/
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet uv
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header pyproject.toml --output-file requirements/base.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header pyproject.toml --group dev --constraints requirements/base.txt \
		--output-file requirements/dev.txt
	@printf '%s\n' sentence-transformers 'torch==$(TORCH)+cpu' | $(VENV)-lock/bin/uv pip compile - \
		--quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
		--no-annotate --no-header --find-links $(TORCH_WHEELS) --constraints requirements/dev.txt \
		--output-file requirements/torch.txt
	@rm -rf $(VENV)-lock

clean: ## Remove the environment, caches and the demo's data
	@rm -rf $(VENV) .cumulo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
