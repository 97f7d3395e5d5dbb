# The commands of the project; each installs what it lacks and says what it cannot.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export NODE_OPTIONS := --conditions=source
NAME ?=
MINUTES ?= 10

.PHONY: help setup quickstart test checks lint generate bench soak images install cluster-up cluster-down cluster-status cluster-logs

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: node_modules/.package-lock.json build/lightgbm.stamp ## Install npm packages, Node 24 among them, and LightGBM's library

node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)"; exit 1; }
	# Not npm ci: it refuses a lock that lacks optional packages of other platforms.
	NODE_OPTIONS= npm install --no-save --loglevel=error
	@touch $@

build/lightgbm.stamp: node_modules/.package-lock.json
	npm run --silent fetch:lightgbm -w @quintet/evolution
	@mkdir -p $(@D) && touch $@

quickstart: setup ## A cluster (yours, kind, or one built here), the chart, a sample of each kind, and their results
	node e2e/quickstart.ts

test: setup ## All that must hold: lint, drift, unit, real API server, real node; ALL=1 adds the long suites, ONLY=format,unit picks
	node e2e/check/main.ts $(if $(ALL),--all) $(if $(ONLY),--only $(ONLY))

checks: setup ## List what `make test` checks
	@node e2e/check/main.ts --list

lint: setup ## Format, lint with types, unused code, compiler
	node e2e/check/main.ts --only format,lint,unused,types

generate: setup ## Write everything generated: CRDs, RBAC, API reference, chart README
	node e2e/check/generate.ts

bench: setup ## NAME=… [QUICK=1] [JSON=file]: ours beside its peers in one run; without a name, the list
	@node e2e/check/bench.ts $(if $(NAME),"$$NAME") $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON))

soak: setup ## MINUTES=10: steady state, memory, random kills; a verdict per check
	node e2e/load/soak.ts --minutes $(MINUTES)

images: setup ## Build the images of the controller and the engines
	node e2e/images.ts build

cluster-up: setup ## A cluster and its kubeconfig: QUINTET_KUBECONFIG, kind, or a local node
	node e2e/cluster/main.ts up $(if $(NAME),--name "$$NAME")

install: setup ## That cluster with images built here and the chart installed; prints how to use it
	@node e2e/install.ts $(if $(NAME),--name "$$NAME")

cluster-down: setup ## Stop that cluster and clean up after it
	node e2e/cluster/main.ts down $(if $(NAME),--name "$$NAME")

cluster-status: setup ## What runs
	node e2e/cluster/main.ts status $(if $(NAME),--name "$$NAME")

cluster-logs: setup ## Collect its logs
	node e2e/cluster/main.ts logs $(if $(NAME),--name "$$NAME")
