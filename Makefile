# The two commands to know are `make run` and `make test`; `make` alone lists the rest.
# All of them work inside .venv, which is made again when pyproject.toml or constraints.txt changes.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOCK := build/lock

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check lint types imports docs-check audit docs gallery format bench calibrate soak lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: $(READY) ## fetch MNIST and search: 50 trials, or what is left of them
	$(BIN)/python -m model.data
	$(BIN)/python -m search.run --trials 50

test: $(READY) ## run the suite, less what is marked slow
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(READY) ## run what is marked slow
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: lint types imports docs-check audit ## everything below up to audit

lint: $(READY) ## ruff: rules and format
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/python -m mypy

imports: $(READY) ## import-linter: search -> studies -> model
	$(BIN)/lint-imports

docs-check: $(READY) ## the generated parts of the documents are up to date
	$(BIN)/python -m docs.generate --check

audit: $(READY) ## pip-audit: are there known vulnerabilities? Only reports
	-$(BIN)/python deploy/audit.py

docs: $(READY) ## write the generated parts of the documents
	$(BIN)/python -m docs.generate

format: $(READY) ## let ruff mend what it can
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

gallery: $(READY) ## make the README's pictures from the finished study in this directory
	$(BIN)/python -m docs.gallery

bench: $(READY) ## measure speed, SQL and memory again: benchmarks/RESULTS.md; takes hours, goes on where it stopped
	$(BIN)/python -m pip install -c constraints.txt -e '.[test,bench]'
	$(BIN)/python -m benchmarks.model_epoch
	$(BIN)/python -m benchmarks.curve
	$(BIN)/python -m benchmarks.abreast
	$(BIN)/python -m benchmarks.general
	$(BIN)/python -m benchmarks.augment
	$(BIN)/python -m benchmarks.plain
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.strict
	-$(BIN)/python -m benchmarks.capacity  # of make run's study, if it is there
	$(BIN)/python -m benchmarks.photographs
	$(BIN)/python -m benchmarks.bf16
	-$(BIN)/python -m benchmarks.gpu  # where there is one
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.peers.splits
	$(BIN)/python examples/breast_cancer.py  # writes its table
	$(BIN)/python -m benchmarks.own_study examples/digits_dropout.py examples/breast_cancer.py examples/fashion_dropout.py
	$(BIN)/python -m benchmarks.own_study dropout architectures augmentation cnn --trials 12 --epochs 5 --rounds 2 --section built-in
	$(BIN)/python -m benchmarks.sql_share
	$(BIN)/python -m benchmarks.gpu_waits
	$(BIN)/python -m benchmarks.whole_job --rounds 5
	$(BIN)/python -m benchmarks.winners
	$(BIN)/python -m benchmarks.curve_model
	$(BIN)/python -m benchmarks.going_on
	$(BIN)/python -m benchmarks.tables.record  # what is not in the repository
	$(BIN)/python -m benchmarks.tables.regret
	$(BIN)/python -m benchmarks.whole_job --rounds 0

calibrate: $(READY) ## simulate again how sure the verdict is: docs/calibration.md; takes 20 to 30 minutes
	$(BIN)/python -m benchmarks.calibration

soak: $(READY) ## kill workers and crash databases for two minutes; must lose nothing
	$(BIN)/python -m benchmarks.soak

lock: ## newest versions into constraints.txt, their hashes into deploy/locks; run the tests before committing
	rm -rf $(LOCK)
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install -e '.[test,bench]'
	$(LOCK)/bin/python -m pip freeze --exclude-editable > $(LOCK)/freeze.txt
	{ echo "# The versions that were tested: all that pip install -e '.[test,bench]' brings, on $$($(LOCK)/bin/python -V)."; \
	  echo "# Written by 'make lock'. CUDA's packages are left out: each PyTorch pins its own, and only on some platforms."; \
	  sed -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton==/d' -e 's/+[^ ]*$$//' $(LOCK)/freeze.txt; } > $(LOCK)/constraints.txt
	mv $(LOCK)/constraints.txt constraints.txt
	$(LOCK)/bin/python -m pip install uv
	$(LOCK)/bin/python deploy/lock.py
	rm -rf $(LOCK)

clean: ## remove the environment and all caches; studies and MNIST stay
	rm -rf .venv build *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is the last thing made: an installation that failed is tried again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@echo "making .venv; the first time this downloads PyTorch and takes minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	@touch $@
