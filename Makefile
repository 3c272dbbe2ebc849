# `make help` lists the targets. The settings of README.md apply to all of them, as environment variables or in .env.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(VENV)/bin/pip install -qq --disable-pip-version-check --no-compile --require-hashes

# Named after what they hold: changed requirements are installed anew, unchanged ones cost nothing.
RUNTIME := $(VENV)/.runtime-$(shell cksum requirements.txt | tr -s ' ' '-')
DEVELOPMENT := $(VENV)/.development-$(shell cat requirements.txt requirements-dev.txt | cksum | tr -s ' ' '-')

.DEFAULT_GOAL := help
.PHONY: help serve demo test chaos witness check fmt bench openapi lock lint types imports migrations deploy schema compose

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

serve: $(RUNTIME) ## run everything in the foreground on PORT (8000), until Ctrl-C
	@exec $(RUN) manage.py serve

demo: $(RUNTIME) ## make clips from a sample storyboard, without a key or a network
	@exec $(RUN) manage.py demo

test: $(DEVELOPMENT) ## run all tests, on SQLite and on PostgreSQL
	@exec $(RUN) -m tests --numprocesses 2 $(ARGS)

chaos: $(DEVELOPMENT) ## kill everything at random and check the books: JOBS, KILLS, SEED, RECOVERY (look_up, token, none)
	@exec $(RUN) -m tests.chaos --jobs $(or $(JOBS),500) --kills $(or $(KILLS),50) --recovery $(or $(RECOVERY),look_up) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

witness: $(RUNTIME) $(VENV)/.witness-vendors $(VENV)/.witness-litellm ## let the vendors' own clients and a LiteLLM proxy speak with the simulator
	cd witness && CINEFLOW_PYTHON=$(CURDIR)/$(RUN) ../$(VENV)/witness-vendors/bin/python -m pytest -q test_vendors.py $(ARGS)
	cd witness && CINEFLOW_PYTHON=$(CURDIR)/$(RUN) ../$(VENV)/witness-litellm/bin/python -m pytest -q test_litellm.py $(ARGS)

check: lint types imports migrations deploy schema compose ## lint, types, imports, migrations, deployment, OpenAPI

fmt: $(DEVELOPMENT) ## format the code and fix what can be fixed
	$(VENV)/bin/ruff check --fix-only --quiet .
	$(VENV)/bin/ruff format .

bench: $(DEVELOPMENT) $(VENV)/.benchmarks ## measure, beside others that do the same
	$(RUN) -m benchmarks $(ARGS)
	$(RUN) -m benchmarks.engine
	$(RUN) -m benchmarks.in_flight

openapi: $(DEVELOPMENT) ## write docs/openapi.json anew
	$(SCRATCH) $(RUN) manage.py spectacular --format openapi-json --validate --fail-on-warn --file docs/openapi.json

lock: $(DEVELOPMENT) ## lock the dependencies of pyproject.toml anew
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) pyproject.toml --group pyproject.toml:dev --constraints requirements.txt --output-file requirements-dev.txt
	$(LOCK) benchmarks/requirements.in --output-file benchmarks/requirements.txt
	$(LOCK) witness/vendors.in --output-file witness/vendors.txt
	$(LOCK) witness/litellm.in --output-file witness/litellm.txt

# Peers and plots too have an environment of their own.
$(VENV)/.benchmarks: benchmarks/requirements.txt $(DEVELOPMENT)
	$(PYTHON) -m venv $(VENV)/benchmarks
	VIRTUAL_ENV=$(VENV)/benchmarks $(VENV)/bin/uv pip install --quiet --require-hashes --requirements $<
	touch $@

# An environment of its own for each kind of witness: theirs are not our dependencies.
$(VENV)/.witness-%: witness/%.txt $(DEVELOPMENT)
	$(PYTHON) -m venv $(VENV)/witness-$*
	VIRTUAL_ENV=$(VENV)/witness-$* $(VENV)/bin/uv pip install --quiet --require-hashes --requirements $<
	touch $@

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

# ---- the parts of `make check` ------------------------------------------------------------------

# Checks look at the code, so they get settings and a data folder of their own.
SCRATCH = CINEFLOW_DATA_DIR=$(VENV)/check DATABASE_URL= REDIS_URL= AUTH_TOKEN= DEBUG=
DEPLOYED = CINEFLOW_DATA_DIR=$(VENV)/check BEHIND_HTTPS=1 ALLOWED_HOSTS=cineflow.example \
	AUTH_TOKEN=only-for-this-check SECRET_KEY=$(shell cat requirements.txt | cksum | sed 's/ //g;s/.*/&&&&&&-of-no-use/')

lint: $(DEVELOPMENT)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(DEVELOPMENT)
	$(SCRATCH) $(VENV)/bin/mypy .

imports: $(DEVELOPMENT)
	$(VENV)/bin/lint-imports

migrations: $(DEVELOPMENT)
	$(SCRATCH) $(RUN) manage.py makemigrations --check --dry-run

deploy: $(DEVELOPMENT)
	@echo "manage.py check --deploy, with settings as in production"
	@$(DEPLOYED) $(RUN) manage.py check --deploy --fail-level WARNING

schema: $(DEVELOPMENT)
	$(SCRATCH) $(RUN) manage.py spectacular --format openapi-json --validate --fail-on-warn --file $(VENV)/openapi.json
	@diff -u docs/openapi.json $(VENV)/openapi.json || { echo "docs/openapi.json is not what the code says: make openapi"; exit 1; }

compose:
	@.ci/compose-config

# ---- the virtual environment --------------------------------------------------------------------

$(RUNTIME): | $(VENV)/bin/pip
	@echo "Installing the requirements into $(VENV) (a minute or so)…"
	@$(INSTALL) -r requirements.txt
	@touch $@

# They include the requirements of the runtime.
$(DEVELOPMENT): | $(VENV)/bin/pip
	@echo "Installing the requirements and the development tools into $(VENV) (a minute or two)…"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@ $(RUNTIME)

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "CineFlow needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
