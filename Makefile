# The one door for developers. `make` alone prints what there is.
# Needs Python 3.11, git and make; everything else lands in .venv, nothing outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := .venv/bin
READY  := .venv/.ropewalk-ready
WORKERS ?= 2
# What the rest of the machine exports must not leak into the gate. Without bytecode each of its thousand processes would
# compile every library anew.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

.PHONY: help
help: ## Print this list.
	@awk 'BEGIN {FS = ":.*## "; print "make <target>\n"} /^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' Makefile

# ------------------------------------------------------------------------------------------------------------- set-up
.PHONY: setup
setup: $(READY) ## Make .venv from the lock (the second run starts at once).

$(READY): requirements/dev.txt requirements/setup.txt pyproject.toml .ci/install
	@.ci/install .venv requirements/dev.txt "$(PYTHON)"
	@touch $@

# The clients that others ship, each in an environment of its own: the acceptance suite runs inside them.
STOCK := .venv-mlflow/.ropewalk-ready .venv-skinny/.ropewalk-ready .venv-triton/.ropewalk-ready
$(STOCK): .venv-%/.ropewalk-ready: requirements/%.txt requirements/setup.txt .ci/install
	@.ci/install .venv-$* requirements/$*.txt "$(PYTHON)"
	@touch $@

# PyTorch's environment shares the files of MLflow's. Its wheel is some 200 MB where pip finds the one for CPUs and gigabytes
# where it finds CUDA's, so that it is made where somebody asks for it: ROPEWALK_TEST_TORCH=1, as CI does.
TORCH := torch==2.13.0
.venv-torch/.ropewalk-ready: requirements/torch.txt .venv-mlflow/.ropewalk-ready .ci/install-torch
	@.ci/install-torch .venv-torch .venv-mlflow requirements/torch.txt "$(TORCH)" "$(PYTHON)"
	@touch $@
ifeq ($(ROPEWALK_TEST_TORCH),1)
STOCK += .venv-torch/.ropewalk-ready
endif

# The orchestrators that pipelines are exported to share one environment of some 350 MB. It is made where somebody asks for
# it: ROPEWALK_TEST_EXPORTS=1, as CI does.
ORCHESTRATORS := .venv-orchestrators/.ropewalk-ready
$(ORCHESTRATORS): requirements/orchestrators.txt requirements/setup.txt .ci/install
	@.ci/install .venv-orchestrators requirements/orchestrators.txt "$(PYTHON)"
	@touch $@
ifeq ($(ROPEWALK_TEST_EXPORTS),1)
STOCK += $(ORCHESTRATORS)
endif

.PHONY: orchestrators
orchestrators: $(ORCHESTRATORS) ## Make .venv-orchestrators, where exported pipelines are run by Airflow, Kubeflow, Prefect.

.PHONY: torch
torch: .venv-torch/.ropewalk-ready ## Make .venv-torch, where autologging of PyTorch is tried; downloads torch.

.PHONY: stock
stock: $(STOCK) ## Make .venv-mlflow, .venv-skinny and .venv-triton, where others' own clients are tried.

# --------------------------------------------------------------------------------------------------------------- show
.PHONY: demo
demo: $(READY) ## Play a year of New York flights, from a commit to a drift alarm.
	@$(BIN)/ropewalk demo

# --------------------------------------------------------------------------------------------------------------- gate
.PHONY: test
test: $(READY) $(STOCK) ## Run the whole test suite, with the coverage gate.
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term:skip-covered
ifneq ($(ROPEWALK_TEST_TORCH),1)
	@echo "test: PyTorch's cases were left out, for torch may be a download of gigabytes: ROPEWALK_TEST_TORCH=1 make test"
endif
ifneq ($(ROPEWALK_TEST_EXPORTS),1)
	@echo "test: Airflow's, Kubeflow's and Prefect's cases were left out: ROPEWALK_TEST_EXPORTS=1 make test"
endif

.PHONY: check
check: $(READY) ## The whole gate: format, lint, walls, types, words, tests. CI calls only this.
	@$(MAKE) -j 2 --output-sync=target static stock
	@$(MAKE) test

# Everything that reads the code and does not run it. The clients' environments are made beside it: one waits for the
# registry while the other computes.
.PHONY: static
static: $(READY) ## Read the code without running it: format, lint, walls, types, words.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/pyright
	@$(BIN)/codespell

.PHONY: format
format: $(READY) ## Format the code and apply the safe fixes.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: lowest
lowest: .venv-lowest/.ropewalk-ready ## Run the suite on the lowest versions that pyproject.toml allows.
	@.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow and not browser" -W default

.venv-lowest/.ropewalk-ready: requirements/lowest.txt requirements/setup.txt pyproject.toml .ci/install
	@.ci/install .venv-lowest requirements/lowest.txt "$(PYTHON)"
	@touch $@

.PHONY: fault
fault: $(READY) ## Kill, cut and fill things for longer than the gate does.
	@ROPEWALK_KILLS=$${ROPEWALK_KILLS:-10} ROPEWALK_CASES=$${ROPEWALK_CASES:-100} ROPEWALK_HALF_OPEN=$${ROPEWALK_HALF_OPEN:-9500} ROPEWALK_RUNS=$${ROPEWALK_RUNS:-200} ROPEWALK_SEEDS=$${ROPEWALK_SEEDS:-10000} ROPEWALK_PROGRAMS=$${ROPEWALK_PROGRAMS:-500} ROPEWALK_CANARIES=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m fault --timeout=900

.PHONY: bench
bench: $(READY) ## Measure against the limits and print the figures.
	@$(BIN)/python bench/run.py

# --------------------------------------------------------------------------------------------------------------- lock
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.PHONY: lock
lock: $(READY) ## Resolve the dependencies anew: newest and lowest, with hashes, without registry addresses.
	@$(COMPILE) --upgrade --extra dev pyproject.toml --output-file requirements/dev.txt
	@$(COMPILE) --upgrade --extra dev --resolution lowest-direct pyproject.toml --output-file requirements/lowest.txt
	@$(COMPILE) --upgrade requirements/mlflow.in --output-file requirements/mlflow.txt
	@$(COMPILE) --upgrade requirements/skinny.in --output-file requirements/skinny.txt
	@$(COMPILE) --upgrade requirements/triton.in --output-file requirements/triton.txt
	@$(COMPILE) --upgrade requirements/orchestrators.in --output-file requirements/orchestrators.txt
	@$(COMPILE) --upgrade --constraints requirements/mlflow.txt --overrides <(echo "torch; sys_platform == 'never'") \
	  $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements/mlflow.txt) \
	  requirements/torch.in --output-file requirements/torch.txt
	@grep '^uv==' requirements/dev.txt | cut -d' ' -f1 | $(COMPILE) --upgrade - --output-file requirements/setup.txt

.PHONY: clean
clean: ## Remove what the gate and the demo leave, but not .venv.
	@rm -rf demo dist build htmlcov coverage.xml .pytest_cache .ruff_cache .hypothesis .import_linter_cache bench/out
	@rm -f .coverage .coverage.*
	@find src tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
