# Everything happens inside the clone: packages in .venv, the example library and
# the results in .cratesort. `make clean` takes both away again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# uv installs in seconds what takes pip half a minute; where there is none, pip does it.
UV := $(shell command -v uv)
ifneq ($(UV),)
make_venv = $(UV) venv --quiet --no-python-downloads --python "$(PYTHON)" $(VENV)
install = $(UV) pip install --quiet --python $(VENV) -c constraints.txt
# For the oldest Python that is supported: some packages need a later 3.11.
compile = $(UV) pip compile --quiet --python-version 3.11.0
else
make_venv = $(PYTHON) -m venv $(VENV)
# -qq: errors only. Warnings are about the machine's own pip settings.
install = $(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt
compile = $(install) pip-tools && $(BIN)/pip-compile --quiet --allow-unsafe \
    --no-emit-find-links --no-emit-trusted-host
endif

# At least four: most tests of faults wait for a worker or a lease.
PROCESSES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n > 4 ? n : 4)))
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES)

# The database of ingest, results and train lies in the clone too, unless the
# environment or a .env file here names another one (one for docker compose does not).
# The example library has one of its own, which is shown until there is yours.
INGESTED := $(CURDIR)/.cratesort$(if $(DIR),,/example)
SHOWN := $(CURDIR)/.cratesort$(if $(wildcard .cratesort/cratesort.db),,/example)
ifeq ($(CRATESORT_DATABASE_URL)$(shell grep -s '^CRATESORT_DATABASE_URL=.' .env),)
ingest: export CRATESORT_DATABASE_URL := sqlite:///$(INGESTED)/cratesort.db
results status retry train: export CRATESORT_DATABASE_URL := sqlite:///$(SHOWN)/cratesort.db
endif

# Where it is set, every process would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup ingest results status retry check test test-release coverage breakages fuzz chaos lint format docs pictures site release-check compose-test train study bench bench-peers footprint mates recovery retraining accuracy prior starter lock clean

help: ## show this help
	@echo 'usage: make TARGET [DIR=/path/to/sounds] [CORPUS=table.csv.gz] [ARGS=...]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 } \
	                  /^\t*## / { sub(/^\t*## /, ""); printf "%21s%s\n", "", $$0 }' Makefile

setup: $(VENV)/.base ## make .venv and install cratesort into it

ingest: $(VENV)/.base ## classify a folder of sounds: DIR=/path/to/sounds
## (without DIR: a small library of synthesised sounds, in a
## database of its own)
## fails when a file of this run got no category: cratesort
## itself then says 1, and make, as for every failure, 2
	@mkdir -p .cratesort
	@if [ -z "$$DIR" ]; then $(BIN)/python examples/make_library.py .cratesort/library; fi
	@case "$$DIR" in "~/"*) DIR="$$HOME/$${DIR#??}";; esac; \
	    $(BIN)/cratesort ingest "$${DIR:-.cratesort/library}" $(ARGS); code=$$?; \
	    echo 'To type cratesort in this shell: export PATH="$(CURDIR)/$(BIN):$$PATH" CRATESORT_DATA_FOLDER="$(INGESTED)"' >&2; \
	    exit $$code

results: $(VENV)/.base ## show what `make ingest` found out: ARGS='--format csv'
	@$(BIN)/cratesort results $(ARGS)

status: $(VENV)/.base ## show what is open and what the table holds
	@$(BIN)/cratesort status $(ARGS)

retry: $(VENV)/.base ## try again what has no category: ARGS='--code timed_out'
	@$(BIN)/cratesort retry --failed $(ARGS)

check: lint ## the loop while editing: lint, types and the unit tests
## (without those that load TensorFlow, which takes as long again)
	@$(BIN)/python -m pytest --numprocesses auto -m 'not release and not tensorflow' tests/unit

test: lint ## lint, then run every test but the long proofs
	@$(PYTEST)

test-release: test ## the long proofs besides; an hour or two, before a release:
## trainings of full size, chaos, recovery and fuzz at length,
## the wheel, and the compose file where Docker answers
	@$(BIN)/python -m pytest -m release
	@$(BIN)/python -m tests.chaos --seconds 600 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos --seconds 600 --sqlite $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos --seconds 600 --production $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.benchmarks.recovery
	@$(BIN)/python -m tests.fuzz --seconds 600 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.release
	@$(BIN)/python -m tests.compose

coverage: $(VENV)/.dev ## run the tests and show which branches none of them takes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses $(PROCESSES) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

breakages: $(VENV)/.dev ## break the code one line at a time: does a test fail? NAME=...
## (without NAME: all of tests/breakages, some minutes);
## fails when a breakage was not caught
	@$(BIN)/python -m tests.breakages $(NAME)

fuzz: $(VENV)/.dev ## read mutilated files and names: SECONDS=60 SEED=1
## fails when one crashes, hangs or gives no typed reason;
## it then lies in .cratesort/fuzz-findings
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.dev ## check imports, style, formatting and types
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

chaos: $(VENV)/.dev ## run a fleet under random faults: SECONDS=60 SEED=1
## (without SEED: by chance); fails when a file was lost;
## on SQLite: ARGS=--sqlite; at the default settings:
## ARGS=--production
	@$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

format: $(VENV)/.dev ## put the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## make docs/reference/cli.md anew from the commands' --help
	@$(BIN)/python -m cli.docs_reference > docs/reference/cli.md

pictures: $(VENV)/.dev ## draw docs/pictures from what cratesort prints; others by
## PART=fleet (Flower, Prometheus; needs servers and chromium)
## or PART=study CORPUS=table.csv.gz (some minutes)
	@$(BIN)/python -m docs.pictures.source $(PART)

site: $(VENV)/.docs ## build the documentation site in .cratesort/site
## fails on a broken link, a missing heading, a page that no
## index lists, or an unknown language of a code block
	@rm -rf .cratesort/site
	@$(BIN)/python -m sphinx -q -W --keep-going -n -E -d .cratesort/site-cache docs .cratesort/site
	@echo 'Built $(CURDIR)/.cratesort/site/index.html'
	@echo 'Open that file in a browser. Or serve it: python3 -m http.server -d .cratesort/site'

release-check: $(VENV)/.dev ## build wheel and sdist, and use the wheel elsewhere
## (they are left in .cratesort/dist); TAG=v1.2.3: is it the
## version of pyproject.toml, and in the changelog?
	@$(BIN)/python -m tests.release $(if $(TAG),--tag $(TAG))

compose-test: $(VENV)/.dev ## the compose file for real, broken in mid-run: DIR=sounds
## skips without a Docker engine; some minutes
	@$(BIN)/python -m tests.compose $(if $(DIR),--library "$$DIR")

train: $(VENV)/.dev ## learn from the labels; from a table: CORPUS=table.csv.gz
	@$(BIN)/cratesort train $(if $(CORPUS),--from-csv "$$CORPUS") $(ARGS)

study: $(VENV)/.dev ## compare the published method with ours: CORPUS=table.csv.gz
## the report lies in .cratesort/study
	@$(need_corpus)
	@$(BIN)/cratesort study --from-csv "$$CORPUS" --report .cratesort/study $(ARGS)

bench: $(VENV)/.dev ## measure speed beside a bare process and a task a file
## and all else that docs/explanation/benchmarks.md shows; half an hour: ARGS='--files 100000'
	@$(BIN)/python -m tests.benchmarks.throughput --systems bare,bare-pair,queue,embedded,naive $(ARGS)
	@for part in batch_sizes collapse nothing_to_do latency large_table growth ledger_size commands footprint slow_storage; do \
	    echo; echo "## $$part"; $(BIN)/python -m tests.benchmarks.$$part || exit 1; done

bench-peers: $(VENV)/.dev ## measure speed beside Ray Data (installs it: 300 MB)
	@$(install) 'ray[data]'
	@$(BIN)/python -m tests.benchmarks.throughput --systems bare,bare-pair,queue,ray $(ARGS)

footprint: $(VENV)/.dev ## measure a worker's memory and start, both engines
	@$(BIN)/python -m tests.benchmarks.footprint

mates: $(VENV)/.dev ## measure what a folder's names cost beside a sound's own
	@$(BIN)/python -m tests.benchmarks.mates

recovery: $(VENV)/.dev ## measure how soon work returns after a kill -9 or a hang
	@$(BIN)/python -m tests.benchmarks.recovery

retraining: $(VENV)/.dev ## measure a retraining run: ARGS='--rows 12000'
	@$(BIN)/python -m tests.benchmarks.retraining $(ARGS)

accuracy: $(VENV)/.dev ## measure on vendors never seen: CORPUS=a.csv.gz NAMES=b.csv.gz
## (NAMES: a table of names without headers); without the slow
## reference: ARGS='--systems keyword,ours'
	@$(need_corpus)
	@$(need_names)
	@$(BIN)/python -m training.maintainer.accuracy "$$CORPUS" "$$NAMES" $(ARGS)

prior: $(VENV)/.dev ## learn the generated names anew, before `make starter`
	@$(BIN)/python -m training.maintainer.teach_prior

starter: $(VENV)/.dev ## make anew the model that ships: CORPUS=... NAMES=...
	@$(need_corpus)
	@$(need_names)
	@$(BIN)/python -m training.maintainer.build_starter "$$CORPUS" "$$NAMES"

lock: $(VENV)/.base ## make constraints.txt anew from pyproject.toml
	@echo '# Made by `make lock`: what CI and `make setup` install, all extras.' > $(VENV)/lock
	@$(compile) --all-extras --strip-extras --no-header --no-annotate --no-emit-index-url \
	    --upgrade --output-file $(VENV)/lock.txt pyproject.toml
	@cat $(VENV)/lock.txt >> $(VENV)/lock
	@mv $(VENV)/lock constraints.txt

clean: ## remove .venv, the example library and the results
	rm -rf $(VENV) .cratesort .coverage build *.egg-info .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: newer than what they were installed from, so a second call costs nothing.

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
	        'Another one: make PYTHON=/path/to/python' >&2; \
	    exit 1; }
	@[ -n '$(UV)' ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo '$(PYTHON) has no venv module. On Debian: apt-get install python3-venv' >&2; \
	    exit 1; }
	@$(make_venv)

need_corpus = [ -f "$$CORPUS" ] || { \
    echo 'say which table to learn from: make $@ CORPUS=table.csv.gz' >&2; exit 1; }

need_names = [ -f "$$NAMES" ] || { \
    echo 'say which table holds names alone: make $@ CORPUS=table.csv.gz NAMES=names.csv.gz' >&2; \
    exit 1; }
