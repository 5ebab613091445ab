# Two commands: `make reproduce` and `make test`. Either sets up .venv by itself; python3 and make are
# all they assume. `make help` lists the rest.

PYTHON ?= python3
DATA ?= simulated
SCALE ?= quick
JOBS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup reproduce refresh test lint types unit notebooks lab bench clean

help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST)
	@echo
	@echo "  DATA=$(DATA) (simulated, real or the path of your table)  SCALE=$(SCALE) (quick, full)  JOBS=$(JOBS)"
	@echo "  ARGS='--only 03 --set seed=1' goes to the command as it is; real data needs RB_DATA_DIR or 'rb-support data fetch'"

setup: $(READY) ## Set up .venv with CPU PyTorch and all packages

$(READY): pyproject.toml requirements-cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with PYTHON=..., such as make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 2 GB, once"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --retries 1 -r requirements-cpu.txt
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

reproduce: $(READY) ## Run every notebook and leave figures/<data>/ with its gallery
	$(BIN)/python -m rb_support reproduce --data "$(DATA)" --scale $(SCALE) --jobs $(JOBS) $(ARGS)

refresh: $(READY) ## Execute the notebooks in place, so that their committed outputs are fresh
	$(BIN)/python -m rb_support refresh $(ARGS)

test: lint types unit notebooks ## Everything that must hold: lint, types, tests with coverage, notebooks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=term -m "not notebook"

notebooks: $(READY)
	$(BIN)/python -m pytest tests/test_notebooks.py -m notebook --durations=0

lab: $(READY) ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir notebooks

bench: $(READY) ## Time the hot paths, as ratios taken in one run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Remove .venv and everything built
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
