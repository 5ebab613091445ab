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
TOOLS := $(VENV)/.tools
LOWEST := .venv-lowest/bin
TORCH ?= --torch-backend cpu

# What the package needs besides PyTorch; uv is several times faster, pip knows a mirror that pip alone was told of.
comma := ,
install = $(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable $(1) 2>/dev/null \
  || $(BIN)/python -m pip install --quiet $(2) --editable $(1)

# Processes that run side by side work on one thread each: with more they fight for the cores.
ALONE := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Kernels of other processors, of which any can be had on an x86-64 machine.
AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell
SSE := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 OPENBLAS_CORETYPE=Prescott

.DEFAULT_GOAL := help
.PHONY: help setup reproduce refresh elsewhere processor test lint types unit notebooks lowest lab bench clean \
  leaderboard site lite slides student pdf

help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST)
	@echo
	@echo "  DATA=$(DATA) (simulated, real or the path of your table)  SCALE=$(SCALE) (quick, full)  JOBS=$(JOBS)"
	@echo "  ARGS='--only 03 --set seed=1' goes to the command as it is; real data needs RB_DATA_DIR or 'rb-support data fetch'"

setup: $(READY) ## Set up .venv with CPU PyTorch and all that the notebooks need

$(READY): pyproject.toml requirements-cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with PYTHON=..., such as make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 2 GB, once"
	@$(BIN)/python -m pip install --quiet --no-compile --upgrade pip uv
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --retries 1 -r requirements-cpu.txt
	@$(call install,'.[serve$(comma)drag]',--no-compile)
	@for part in "sentence_transformers, papermill" "ipykernel.kernelapp, rb_support.teach, rb_support.deploy"; do \
	  PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "import $$part" & done; wait  # compiles what notebooks import, of all that is there
	@touch $@

$(TOOLS): $(READY)
	@echo "Installing what tests, site and slides need, once"
	@$(call install,'.[test]')
	@touch $@

reproduce: $(READY) ## Run every notebook and leave figures/<data>/ with its gallery
	$(BIN)/python -m rb_support reproduce --data "$(DATA)" --scale $(SCALE) --jobs $(JOBS) $(ARGS)

refresh: $(READY) ## Execute the notebooks in place, so that their committed outputs are fresh
	$(BIN)/python -m rb_support refresh $(ARGS)

leaderboard: $(READY) ## Compare all routers on the real tables at hand, ten seeds each (ten to thirty minutes; goes on where it stopped)
	@$(call install,'.[sweep]')
	$(BIN)/python -m rb_support sweep --board --table real --seeds 10 --workers $(JOBS)
	$(BIN)/python -m rb_support reproduce --data real --only 09 --set seeds=10 --force

elsewhere: $(READY) ## Run every notebook from nothing as two other processors would, and compare with figures/
	@rm -rf build/elsewhere
	$(MAKE) --no-print-directory processor CPU=avx2 SETTINGS='$(AVX2) LC_ALL=C TZ=Asia/Kolkata' JOBS=2
	$(MAKE) --no-print-directory processor CPU=sse SETTINGS='$(SSE) LC_ALL=C.UTF-8 TZ=America/Lima' JOBS=1

processor: $(READY)
	$(SETTINGS) RB_CACHE_DIR=build/elsewhere/cache-$(CPU) $(BIN)/python -m rb_support reproduce --force --jobs $(JOBS) \
	  --out build/elsewhere/$(CPU)
	$(BIN)/python -m rb_support compare figures/simulated build/elsewhere/$(CPU)/simulated

test: lint types unit notebooks ## Everything that must hold: lint, types, tests with coverage, notebooks

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TOOLS)
	$(BIN)/mypy

unit: $(TOOLS)
	$(ALONE) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term -m "not notebook" --durations=10

notebooks: $(TOOLS)
	$(BIN)/python -m pytest tests -m notebook --durations=0

lowest: ## Unit tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	@test -x $(LOWEST)/python || $(PYTHON) -m venv .venv-lowest
	@$(LOWEST)/python -m pip install --quiet uv
	@$(LOWEST)/python -m uv pip install --quiet --python $(LOWEST)/python --resolution lowest-direct \
	  --only-binary :all: --no-binary rb-support $(TORCH) --editable '.[test]'  # a wheel: the oldest versions build on no newer Python
	$(ALONE) $(LOWEST)/python -m pytest -n $(JOBS) --dist loadfile -m "not notebook"

lab: $(READY) ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir notebooks

site: $(TOOLS) ## Build the site, then open build/site/index.html: it needs no network
	@mkdir -p build/site-source
	$(BIN)/python -m sphinx -b html -W --keep-going -q -j 2 -c docs build/site-source build/site

lite: $(TOOLS) ## The site with notebooks 00, 02 and 04 to be run in the browser
	@$(call install,'.[lite]')
	@mkdir -p build/site-source
	$(BIN)/python -m sphinx -b html -E -t lite -W --keep-going -q -c docs build/site-source build/site
	$(BIN)/python docs/site/lite.py build/site/lite

slides: $(TOOLS) ## Slides of the notebooks, for any browser, in build/slides
	$(BIN)/python -m rb_support classroom slides

student: $(TOOLS) ## A folder for students, without solutions, in build/student
	$(BIN)/python -m rb_support classroom student

pdf: $(TOOLS) ## Every notebook and the hand-out on paper, in build/pdf (needs Chromium, Chrome or Edge)
	$(BIN)/python -m rb_support classroom pdf docs/teaching/handout.md notebooks/[0-9]*.ipynb

bench: $(TOOLS) ## Time the hot paths, as ratios taken in one run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Remove .venv and everything built
	rm -rf $(VENV) .venv-lowest build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
