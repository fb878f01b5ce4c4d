# Everything a developer runs, one command each; `make` alone lists them.
#
# Tools are installed into .venv, once for each state of setup.cfg.

# Tests start Python some hundred times, which must not compile everything each time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Programs that the tests and `make instructions` run; Debian's package has the same name,
# or the one after the colon.
PROGRAMS := bash busybox caddy chromium-headless-shell curl dash haproxy httpie nginx nodejs npm \
	pgbouncer ruby valgrind varnishd:varnish zsh

.PHONY: help demo test thorough lowest faults fidelity secrets soak fuzz lint bench instructions docs screenshots lock image
help:
	@sed -n 's/^## //p' Makefile

## make demo    a throw-away database, a running server, a link to open, commands to try
demo: $(VENV)/core.stamp
	@exec $(BIN)/promptlooper-export demo

## make test    every test, on SQLite and on a real PostgreSQL
##              (of some that have hundreds of cases of one kind, a sample)
# Some tests mostly wait, so there are more processes than cores.
test: $(VENV)/test.stamp programs readers
	@$(BIN)/pytest --numprocesses $$(( $$(nproc) + 1 )) --dist worksteal

## make thorough  every case of the tests of which `make test` runs a sample
thorough: $(VENV)/test.stamp programs readers
	@$(BIN)/pytest -m sampled --all-cases --numprocesses auto --dist worksteal

## make lowest  every test, with the lowest versions of libraries that setup.cfg allows
LOWEST := $(VENV)/lowest
lowest: $(VENV)/dev.stamp programs readers
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	@$(BIN)/uv pip compile --quiet --resolution lowest-direct --extra all \
		--output-file $(LOWEST)/versions.txt setup.cfg
	@$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python \
		--constraint $(LOWEST)/versions.txt --editable '.[test]'
	@$(LOWEST)/bin/pytest --numprocesses auto --dist worksteal

## make faults  cut exports everywhere, on every way to a client: is each one noticed?
faults: $(VENV)/test.stamp programs
	@cd tests && ../$(BIN)/python -m faults

## make fidelity  what every reader reads back of every format, as docs/fidelity.md
fidelity: $(VENV)/test.stamp programs readers
	@cd tests && ../$(BIN)/python -m fidelity

## make trust   how often the verdict is wrong, in simulated experiments; TRIALS=10000
TRIALS ?= 10000
trust: $(VENV)/test.stamp
	@cd tests && ../$(BIN)/python -m trust $(TRIALS)

## make secrets  what redaction hides and keeps, by kind, and what detect-secrets says
secrets: $(VENV)/test.stamp
	@cd tests && ../$(BIN)/python -m secrets_by_kind

## make soak    abort, stall, stop and reload for longer than the tests do; ROUNDS=10
ROUNDS ?= 10
soak: $(VENV)/test.stamp programs
	@SOAK_ROUNDS=$(ROUNDS) $(BIN)/pytest tests/deploy/test_patience.py --timeout 0

## make fuzz    many requests made up from our OpenAPI description, and more examples
##              of all properties; EXAMPLES=1000
EXAMPLES ?= 1000
fuzz: $(VENV)/test.stamp
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/http/test_fuzz.py --timeout 0
	@$(BIN)/pytest tests/formats tests/rules tests/store --hypothesis-profile=default

## make lint    style, format, types, architecture, Dockerfile
lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile

## make bench   what exports cost, as bench/results.json and docs/performance.md; RUNS=100000
##              BENCH_OPTUNA, BENCH_MLFLOW, BENCH_DATASETTE: a Python that has it, for
##              a comparison with it
RUNS ?= 100000
bench: $(VENV)/test.stamp
	$(BIN)/python bench --runs $(RUNS)
	$(BIN)/python docs/generate.py

## make instructions  those that hot paths take: fails if there are 15 % more than expected
instructions: $(VENV)/test.stamp programs
	@$(BIN)/python bench/instructions.py

## make docs    write the pages that are generated from the code
docs: $(VENV)/core.stamp
	$(BIN)/python docs/generate.py

## make screenshots  the pictures of README.md, from the demo's data
screenshots: $(VENV)/core.stamp programs
	$(BIN)/python docs/screenshots.py

## make lock    pin every runtime dependency, with hashes
lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
		--extra all --extra build --no-emit-index-url --no-emit-find-links \
		--no-annotate --custom-compile-command "make lock" \
		--output-file requirements.lock setup.cfg

## make image   build the container image with docker, or with another BUILDER
BUILDER ?= docker
image:
	$(BUILDER) build --tag promptlooper-export .

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# Editable and without extras: a few seconds on a machine that has nothing but Python.
$(VENV)/core.stamp: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# uv is quick, but does not know the mirror that only pip was told about, and it
# compiles nothing unless asked to.
$(VENV)/test.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing what make needs for $* into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
		--editable '.[$*]' \
		|| $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@ $(VENV)/core.stamp

# Readers of npm, which the tests ask what they read.
.PHONY: readers
readers: programs
	@test tests/fidelity/node_modules -nt tests/fidelity/package.json \
		|| npm install --prefix tests/fidelity --silent --no-package-lock \
		--ignore-scripts --no-audit --no-fund && touch tests/fidelity/node_modules

.PHONY: programs
programs:
	@PATH=$$PATH:/usr/sbin; missing=; for program in $(PROGRAMS); do \
		command -v "$${program%:*}" >/dev/null || missing="$$missing $${program#*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "Left out, for root to install; tests that use them fail:$$missing" >&2; \
		exit 0; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing
