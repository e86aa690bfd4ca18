# The short names of what hack/ does. `make` lists them; each says what it is doing and how long it took, and may be run again at any time.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a cluster, Hantei on it, one evaluation of a real checkpoint and its verdict
	@hack/demo

test: ## every ring: unit, process, apiserver, cluster
	@hack/test unit process apiserver cluster

test-unit: ## pure decisions and everything else without I/O
	@hack/test unit

test-process: ## real evaluator processes on this machine
	@hack/test process

test-apiserver: ## against a real etcd and kube-apiserver
	@hack/test apiserver

test-cluster: ## on the kind cluster
	@hack/test cluster

test-gpu: ## the tests that need a real GPU
	@hack/test gpu

scale: ## thousands of runs against a real API server, with kwok for nodes
	@hack/test scale

lint: ## ruff, mypy, import-linter, shellcheck
	@hack/lint

venv: ## .venv with Hantei and everything its developers need
	@hack/venv

tools: ## kind, kubectl, helm, kwok, etcd, kube-apiserver
	@hack/lab tools

cluster: ## the kind cluster, without our images
	@hack/lab cluster

images: ## hantei/operator:dev and hantei/evaluator:dev
	@hack/lab images

up: ## the kind cluster with our images on it
	@hack/lab up

crds: venv ## crds/*.yaml and the chart's copies, from the models in api/
	@$(PYTHON) -m hantei_api.crd

lock: ## resolve the dependencies anew (ARGS=--upgrade for newer versions)
	@hack/update-lock $(ARGS)

bench: ## the benchmarks; results go to benchmarks/results
	@hack/bench

down: ## delete the cluster
	@hack/lab down

clean: ## remove everything made: cluster, images, engine, caches, .venv
	@hack/lab clean
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage

.PHONY: help demo test test-unit test-process test-apiserver test-cluster test-gpu scale lint venv tools cluster images up crds lock bench down clean
