# `make demo` and `make test` each start from nothing: they make .venv and install what they need.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-lm-eval check fix bench samples fuzz

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[dev]'
# timm asks for torchvision, whose wheel on PyPI is built for CUDA and would bring a torch of its own and 3 GB with it.
# What both need else is there with transformers; what the wheel then lacks, models/torchvision_repair.py makes up for.
	$(PIP) --no-deps torchvision timm
	@touch $@

# 36 more packages and 165 MB, for one bridge and one benchmark: not part of what every test needs.
.venv/.installed-lm-eval: .venv/.installed-dev
	$(PIP) --editable '.[dev,lm-eval]'
	@touch $@

demo: .venv/.installed ## audit a real fine-tune that forgot (installs first)
	cd sample_data && ../$(BIN)/forgetaudit compare base.safetensors tuned.safetensors --data src_val --max-drop 2pt --no-fail

test: .venv/.installed-dev ## install the dev extra and pass the tests
	$(BIN)/python -m pytest -n auto -q

test-lm-eval: .venv/.installed-lm-eval ## install lm-eval too and pass the tests of the bridge to it, none skipped
	$(BIN)/python -c 'import lm_eval'
	$(BIN)/python -m pytest -n auto -q tests/integrations/test_lm_eval.py tests/tasks/test_multiple_choice.py

check: .venv/.installed-dev ## format, lint, types and tests: what must be green before a change lands
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto -q

fix: .venv/.installed-dev ## format and repair what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed-lm-eval ## every performance claim, measured here
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

samples: .venv/.installed-dev ## make sample_data again, from scikit-learn's digits
	$(BIN)/python sample_data/make_samples.py

fuzz: .venv/.installed ## fuzzing of the readers: 100,000 inputs each (FUZZ_INPUTS), checkpoints for a minute (FUZZ_SECONDS)
	for script in $$(grep -L 'import atheris' fuzz/fuzz_*.py); do \
		$(BIN)/python $$script $(or $(FUZZ_INPUTS),100000) || exit 1; done
	test -x .venv-fuzz/bin/python || ($(PYTHON) -m venv .venv-fuzz && .venv-fuzz/bin/python -m pip install --quiet atheris)
	for script in $$(grep -l 'import atheris' fuzz/fuzz_*.py); do \
		PYTHONPATH=$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])') \
		.venv-fuzz/bin/python $$script -max_total_time=$(or $(FUZZ_SECONDS),60) || exit 1; done
