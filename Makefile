# Everything that one does with this repository. `make` alone lists it.
# PYTHON=… names the Python to make .venv with: CPython 3.11 or newer.

PYTHON ?= python3
RUN := .venv/bin/python
export PYTHONUNBUFFERED := 1
# Images of Python often forbid bytecode. Dozens of processes start here, and each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup environment demo demo-rollout sandbox test format lint types imports crd-drift files unit api campaign e2e e2e-sandbox fuzz-archives bench-trainer bench-trainer-data crds pins image image-check sbom test-tools clean
.NOTPARALLEL:

help: ## List what there is
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-19s %s\n", $$1, $$2 }' Makefile

demo: setup ## From `kubectl apply` to a served model, retrained twice under load, on this machine (4 minutes)
	@$(RUN) -m sandbox.demo

demo-rollout: setup ## Versions that come, fail and go under load, in both modes of KServe (10 minutes; one alone: ARGS="--standard", "--knative")
	@$(RUN) -m sandbox.demo.rollout $(ARGS)

sandbox: setup ## The whole platform on this machine, until Ctrl-C (options: ARGS="--single-user --no-operator")
	@$(RUN) -m sandbox $(ARGS)

test: setup ## All checks: format, lint, types, imports, CRD drift, files, tests against a real control plane too
	@$(RUN) .ci/checks.py

setup: ## The virtual environment .venv and the control plane's programs; every target that needs them makes them
	@$(PYTHON) -m sandbox.setup

environment:
	@$(PYTHON) -m sandbox.setup --environment-only

format: environment ## Rewrite the code in the agreed format
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

lint: environment ## Format and lint, as the checks do
	@$(RUN) .ci/checks.py format lint

types: environment ## mypy, strict
	@$(RUN) .ci/checks.py types

imports: environment ## Who may import what (contracts in pyproject.toml)
	@$(RUN) .ci/checks.py imports

crd-drift: environment ## Whether crds/ is what the models say
	@$(RUN) .ci/checks.py crds

files: environment ## Whether a committed file names a registry or a path of this machine
	@$(RUN) .ci/checks.py files

unit: environment ## Tests that need nothing but .venv (ARGS="-k some_words")
	@$(RUN) -m pytest tests/unit -n 2 $(ARGS)

api: setup ## Tests against the real control plane (ARGS="-k some_words")
	@$(RUN) -m pytest tests/api -n 2 $(ARGS)

campaign: setup ## Every test, the many crash points and faults too, of which `make test` runs a few
	@$(RUN) -m pytest tests -n 2 -m "not e2e" $(ARGS)

e2e: environment ## The main path on the cluster of KUBECONFIG, as TAS_E2E_… say (docs/testing.md)
	@$(RUN) -m pytest tests/cluster -m e2e -v --no-header $(ARGS)

e2e-sandbox: setup ## The same cases on the sandbox, which is started and stopped around them
	@$(RUN) -m sandbox.e2e $(ARGS)

fuzz-archives: environment ## 5,000 fuzzed archives against the trainer's unpacking
	@TRAINER_FUZZED_ARCHIVES=5000 $(RUN) -m pytest -q tests/unit/trainer_data/test_fuzzed_archives.py $(ARGS)

bench-trainer: environment ## The trainer's speed, accuracy and memory against their controls (ARGS="--only fit,upload")
	@$(RUN) -m bench.trainer $(ARGS)

bench-trainer-data: environment ## Of that: unpacking, and training on and moving more data than memory
	@$(RUN) -m bench.trainer --only archives,memory,transfers $(ARGS)

crds: environment ## Generate crds/ from the operator's models
	@$(RUN) -m trainandserve crd > crds/.new && mv crds/.new crds/trainandserves.yaml

pins: ## Resolve requirements/*.in anew into the pinned *.txt (ARGS="--upgrade" takes newer versions)
	@$(PYTHON) requirements/pin.py $(ARGS)

image: ## The two images, by docker, podman or buildah (ARGS="--prefix registry.example/team --base python:…@sha256:…")
	@$(PYTHON) .ci/image.py $(ARGS)

image-check: setup ## Make the images, look into them, run them as restricted pods do (root, buildah, debootstrap; minutes)
	@$(RUN) -m pytest tests/image -q -s -m "campaign or not campaign" $(ARGS)

sbom: environment ## What each image holds, with checksums, as CycloneDX: build/sbom/
	@$(RUN) requirements/sbom.py

test-tools: environment ## Build what the tests of Helm, Argo CD, Flux and Prometheus run (minutes, once); then make test runs them
	@$(RUN) -m tests.unit.install.gotools

clean: ## Remove .venv and what checks left; the cache of the control plane stays (~/.cache/trainandserve)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build .sandbox
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
