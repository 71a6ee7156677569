# `make` alone lists the targets. The work is in hack/, so that it can be read as plain shell.

.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO_ENV := . hack/tools.sh && need_rust

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: try
try: ## The whole story on a real control plane, told by kubectl (KEEP=1 stays; KUBECONFIG uses your cluster; NODE=1: installed by Helm, as pods)
	@hack/try$(if $(NODE),_node).sh

.PHONY: test
test: ## Format, lints, docs, licences and all tests, those on a real control plane too
	@hack/test.sh

.PHONY: fuzz
fuzz: ## Fuzz what reads bytes from outside, 10 s for each target (FUZZ_SECONDS=600 ONLY=statement,…)
	@hack/fuzz.sh

.PHONY: soak
soak: ## A mixed load for hours, nothing of which may grow or go wrong (SOAK_SECONDS=14400 SOAK_RATE=150)
	@hack/soak.sh

.PHONY: lint
lint: ## Format, clippy, rustdoc and cargo deny alone
	@hack/lint.sh

.PHONY: charts
charts: ## Check the Helm charts, the Kustomize base and Argo CD's health scripts, on a control plane too
	@hack/charts.sh

.PHONY: docs
docs: ## The documentation as a site, in target/docs (mdBook, built once)
	@hack/docs.sh

.PHONY: bench
bench: ## Measure against the raw limit; table and target/bench/results.json (ONLY=name,… QUICK=1)
	@hack/bench.sh

.PHONY: cluster
cluster: ## Start a control plane that stays, in .cluster, and print how to use it (NODE=1: with a node that runs pods)
	@$(CARGO_ENV) && cargo build --workspace --locked --bin countersign-testbed
	@if [ -n "$(NODE)" ]; then . hack/tools.sh && want_node; fi
	@target/debug/countersign-testbed up --dir .cluster $(if $(NODE),--node)

.PHONY: image
image: ## Make the image countersign:dev for such a node, without a builder, in target/image
	@hack/image.sh

.PHONY: node-test
node-test: ## The tests that need a node with pods that run (root; builds its programs once, 6 minutes)
	@hack/node_test.sh

.PHONY: cluster-down
cluster-down: ## End it again
	@$(CARGO_ENV) && cargo build --workspace --locked --bin countersign-testbed
	@target/debug/countersign-testbed down --dir .cluster
