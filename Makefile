# All files are created inside the clone: packages in .venv, the example library and
# the results in .cratesort. `make clean` removes both.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# uv takes seconds for what takes pip half a minute; without uv, pip is used.
UV := $(shell command -v uv)
ifneq ($(UV),)
make_venv = $(UV) venv --quiet --no-python-downloads --python "$(PYTHON)" $(VENV)
install = $(UV) pip install --quiet --python $(VENV) -c constraints.txt
# Resolve for the oldest supported Python: some packages require a later 3.11.
compile = $(UV) pip compile --quiet --python-version 3.11.0
else
make_venv = $(PYTHON) -m venv $(VENV)
# -qq: errors only. Warnings concern the user's pip configuration.
install = $(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt
compile = $(install) pip-tools && $(BIN)/pip-compile --quiet --allow-unsafe \
    --no-emit-find-links --no-emit-trusted-host
endif

# At least four processes: most fault tests spend their time waiting for a worker or a lease.
PROCESSES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n > 4 ? n : 4)))
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES)

# The database of ingest, results and train is in the clone, too, unless the
# environment or a .env file here names another one (a .env for docker compose does not).
# The example library has a separate database, shown until a folder was ingested.
INGESTED := $(CURDIR)/.cratesort$(if $(DIR),,/example)
SHOWN := $(CURDIR)/.cratesort$(if $(wildcard .cratesort/cratesort.db),,/example)
ifeq ($(CRATESORT_DATABASE_URL)$(shell grep -s '^CRATESORT_DATABASE_URL=.' .env),)
ingest: export CRATESORT_DATABASE_URL := sqlite:///$(INGESTED)/cratesort.db
results status retry train: export CRATESORT_DATABASE_URL := sqlite:///$(SHOWN)/cratesort.db
endif

# With it set, every process would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup ingest results status retry check test test-release coverage breakages fuzz chaos lint format docs pictures site release-check compose-test train study bench bench-peers footprint mates recovery retraining accuracy prior starter lock clean

help: ## Show this help
	@echo 'usage: make TARGET [DIR=/path/to/sounds] [CORPUS=table.csv.gz] [ARGS=...]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 } \
	                  /^\t*## / { sub(/^\t*## /, ""); printf "%21s%s\n", "", $$0 }' Makefile

setup: $(VENV)/.base ## Create .venv and install cratesort into it

ingest: $(VENV)/.base ## Classify a folder of sounds: DIR=/path/to/sounds
## Without DIR: a small library of synthesised sounds, in a
## separate database.
## Fails if a file got no category: the exit code is 1 from
## cratesort, but 2 from make (as for any failure).
	@mkdir -p .cratesort
	@if [ -z "$$DIR" ]; then $(BIN)/python examples/make_library.py .cratesort/library; fi
	@case "$$DIR" in "~/"*) DIR="$$HOME/$${DIR#??}";; esac; \
	    $(BIN)/cratesort ingest "$${DIR:-.cratesort/library}" $(ARGS); code=$$?; \
	    echo 'To type cratesort in this shell: export PATH="$(CURDIR)/$(BIN):$$PATH" CRATESORT_DATA_FOLDER="$(INGESTED)"' >&2; \
	    exit $$code

results: $(VENV)/.base ## Show the results of `make ingest`: ARGS='--format csv'
	@$(BIN)/cratesort results $(ARGS)

status: $(VENV)/.base ## Show pending work and the number of classified sounds
	@$(BIN)/cratesort status $(ARGS)

retry: $(VENV)/.base ## Retry sounds without a category: ARGS='--code timed_out'
	@$(BIN)/cratesort retry --failed $(ARGS)

check: lint ## Quick checks while editing: lint, types and unit tests,
## except tests that load TensorFlow (as long again)
	@$(BIN)/python -m pytest --numprocesses auto -m 'not release and not tensorflow' tests/unit

test: lint ## Lint, then run all tests except the long ones
	@$(PYTEST)

test-release: test ## Run all tests, including the long ones (an hour or two):
## full-size training, ten minutes each of chaos and fuzz,
## recovery times, the wheel, and compose if Docker is running
	@$(BIN)/python -m pytest -m release
	@$(BIN)/python -m tests.chaos --seconds 600 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos --seconds 600 --sqlite $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos --seconds 600 --production $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.benchmarks.recovery
	@$(BIN)/python -m tests.fuzz --seconds 600 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.release
	@$(BIN)/python -m tests.compose

coverage: $(VENV)/.dev ## Run the tests and show the branches they do not cover
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses $(PROCESSES) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

breakages: $(VENV)/.dev ## Mutation tests: break one line of code at a time and
## check that a test fails: NAME=...
## Without NAME: all of tests/breakages (some minutes).
## Fails if a breakage was not caught.
	@$(BIN)/python -m tests.breakages $(NAME)

fuzz: $(VENV)/.dev ## Fuzz the parsers of files and names: SECONDS=60 SEED=1
## Fails if an input crashes, hangs or gives an untyped error,
## and saves that input in .cratesort/fuzz-findings.
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.dev ## Check imports, style, formatting and types
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

chaos: $(VENV)/.dev ## Run a fleet under random faults: SECONDS=60 SEED=1
## Without SEED: a random one. Fails if a file was lost.
## On SQLite: ARGS=--sqlite.
## With the default settings: ARGS=--production.
	@$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## Generate docs/reference/cli.md from the commands' --help
	@$(BIN)/python -m cli.docs_reference > docs/reference/cli.md

pictures: $(VENV)/.dev ## Render docs/pictures from the output of cratesort
## Others: PART=fleet (Flower, Prometheus; needs servers and
## chromium), PART=study CORPUS=table.csv.gz (some minutes)
	@$(BIN)/python -m docs.pictures.source $(PART)

site: $(VENV)/.docs ## Build the documentation site in .cratesort/site
## Fails on a broken link, a missing heading, a page that no
## index lists, or an unknown language of a code block.
	@rm -rf .cratesort/site
	@$(BIN)/python -m sphinx -q -W --keep-going -n -E -d .cratesort/site-cache docs .cratesort/site
	@echo 'Built $(CURDIR)/.cratesort/site/index.html'
	@echo 'Open that file in a browser. Or serve it: python3 -m http.server -d .cratesort/site'

release-check: $(VENV)/.dev ## Build wheel and sdist; try the wheel in a new environment
## They are left in .cratesort/dist. TAG=v1.2.3: also compare
## the tag with pyproject.toml and the changelog.
	@$(BIN)/python -m tests.release $(if $(TAG),--tag $(TAG))

compose-test: $(VENV)/.dev ## Test the compose file with faults during a run: DIR=sounds
## Takes some minutes. Skipped without a Docker engine.
	@$(BIN)/python -m tests.compose $(if $(DIR),--library "$$DIR")

train: $(VENV)/.dev ## Train on your labels, or on a table: CORPUS=table.csv.gz
	@$(BIN)/cratesort train $(if $(CORPUS),--from-csv "$$CORPUS") $(ARGS)

study: $(VENV)/.dev ## Compare the published method with ours: CORPUS=table.csv.gz
## Writes the report to .cratesort/study.
	@$(need_corpus)
	@$(BIN)/cratesort study --from-csv "$$CORPUS" --report .cratesort/study $(ARGS)

bench: $(VENV)/.dev ## Run all benchmarks of docs/explanation/benchmarks.md, among
## them a comparison with a bare process and with one task
## per file. Takes half an hour: ARGS='--files 100000'
	@$(BIN)/python -m tests.benchmarks.throughput --systems bare,bare-pair,queue,embedded,naive $(ARGS)
	@for part in batch_sizes collapse nothing_to_do latency large_table growth ledger_size commands footprint slow_storage inbox_memory; do \
	    echo; echo "## $$part"; $(BIN)/python -m tests.benchmarks.$$part || exit 1; done

bench-peers: $(VENV)/.dev ## Compare the speed with Ray Data (installs it: 300 MB)
	@$(install) 'ray[data]'
	@$(BIN)/python -m tests.benchmarks.throughput --systems bare,bare-pair,queue,ray $(ARGS)

footprint: $(VENV)/.dev ## Measure memory and start time of a worker, both engines
	@$(BIN)/python -m tests.benchmarks.footprint

mates: $(VENV)/.dev ## Measure the cost of using the other names of a folder
	@$(BIN)/python -m tests.benchmarks.mates

recovery: $(VENV)/.dev ## Measure the time to recover from a kill -9 or a hang
	@$(BIN)/python -m tests.benchmarks.recovery

retraining: $(VENV)/.dev ## Measure the duration of a training run: ARGS='--rows 12000'
	@$(BIN)/python -m tests.benchmarks.retraining $(ARGS)

accuracy: $(VENV)/.dev ## Measure the accuracy on unknown vendors:
## CORPUS=a.csv.gz NAMES=b.csv.gz (a table of names without
## headers). Without the slow reference method:
## ARGS='--systems keyword,ours'
	@$(need_corpus)
	@$(need_names)
	@$(BIN)/python -m training.maintainer.accuracy "$$CORPUS" "$$NAMES" $(ARGS)

prior: $(VENV)/.dev ## Retrain the prior on generated names
## (before `make starter`)
	@$(BIN)/python -m training.maintainer.teach_prior

starter: $(VENV)/.dev ## Rebuild the shipped model: CORPUS=... NAMES=...
	@$(need_corpus)
	@$(need_names)
	@$(BIN)/python -m training.maintainer.build_starter "$$CORPUS" "$$NAMES"

lock: $(VENV)/.base ## Update constraints.txt from pyproject.toml
	@echo '# Made by `make lock`: what CI and `make setup` install, all extras.' > $(VENV)/lock
	@$(compile) --all-extras --strip-extras --no-header --no-annotate --no-emit-index-url \
	    --upgrade --output-file $(VENV)/lock.txt pyproject.toml
	@cat $(VENV)/lock.txt >> $(VENV)/lock
	@mv $(VENV)/lock constraints.txt

clean: ## Remove .venv, the example library and the results
	rm -rf $(VENV) .cratesort .coverage build *.egg-info .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamp files: an environment is installed again only if its requirements are newer.

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing cratesort into $(VENV) (once) ...'
	@$(install) -e '.[parquet]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo 'installing what training and the tests need (once; about 3 GB) ...'
	@$(install) -e '.[parquet,training,monitoring,test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo 'installing what the documentation site needs (once) ...'
	@$(install) -e '.[parquet,docs]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo 'cratesort needs Python 3.11 or newer, and $(PYTHON) is' \
	        "$$($(PYTHON) --version 2>/dev/null || echo missing)." \
	        'To use another one: make PYTHON=/path/to/python' >&2; \
	    exit 1; }
	@[ -n '$(UV)' ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo '$(PYTHON) has no venv module. On Debian: apt-get install python3-venv' >&2; \
	    exit 1; }
	@$(make_venv)

need_corpus = [ -f "$$CORPUS" ] || { \
    echo 'CORPUS must be an existing table to train on: make $@ CORPUS=table.csv.gz' >&2; exit 1; }

need_names = [ -f "$$NAMES" ] || { \
    echo 'NAMES must be an existing table of names: make $@ CORPUS=table.csv.gz NAMES=names.csv.gz' >&2; \
    exit 1; }
