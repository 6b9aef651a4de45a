# Every command sets up what it needs on the first call. PYTHON: 3.11, 3.12 or 3.13.
fits = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(fits)' 2>/dev/null && echo $$python && break; done),python3)
REQUIRE ?=
comma := ,
export REQUIRE COVERAGE AIRFLOW_PORT MLFLOW_PORT SERVING_PORT POSTGRES_PORT

.PHONY: help run up down cluster-run cluster-up cluster-down test coverage check docs images
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Do the whole job once: ten months of flights, from the files to the served model
	@$(PYTHON) -m local_platform run

up: ## Start Airflow, MLflow and the model server, and leave them running
	@$(PYTHON) -m local_platform up

down: ## Stop what 'make up' started
	@$(PYTHON) -m local_platform down

cluster-run: ## Do the whole job with every step a pod, on the cluster that KUBECONFIG and CLUSTER_... describe
	@$(PYTHON) -m local_platform cluster-run

cluster-up: ## Bring the platform up on that cluster, and leave it running
	@$(PYTHON) -m local_platform cluster-up

cluster-down: ## Remove it from the cluster, and stop what runs here
	@$(PYTHON) -m local_platform cluster-down

test: ## Run all tests; TESTS=path chooses some, REQUIRE=browser,... makes a missing tool a failure, COVERAGE=1 measures
	@$(PYTHON) -m local_platform test $(TESTS)

images: ## Build the images of Airflow, the steps, serving and MLflow, and push them to ML_ARTIFACT_REGISTRY
	@$(PYTHON) -m local_platform.images $(IMAGES)

check: ## Check format, style, types, import directions, docs, sizes and lock files; CHECKS=types,... chooses
	@$(PYTHON) -m local_platform check $(subst $(comma), ,$(CHECKS))

coverage: ## Compare what the tests ran since COVERAGE=1 with the floor in pyproject.toml
	@$(PYTHON) -m local_platform coverage

docs: ## Build the documentation site to .state/docs/html
	@$(PYTHON) -m local_platform docs
