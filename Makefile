# Everything a developer runs, one command each; `make` alone lists them.
#
# Tools are installed into .venv, once for each state of setup.cfg.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Programs that read what we write in the tests; Debian's packages have the same names.
PROGRAMS := bash caddy curl dash haproxy nginx

.PHONY: help demo test faults fuzz lint bench docs lock image
help:
	@sed -n 's/^## //p' Makefile

## make demo    a throw-away database, a running server, three commands to try
demo: $(VENV)/core.stamp
	@exec $(BIN)/promptlooper-export demo

## make test    every test, on SQLite and on a real PostgreSQL
test: $(VENV)/test.stamp programs
	@$(BIN)/pytest

## make faults  cut exports everywhere, on every way to a client: is each one noticed?
faults: $(VENV)/test.stamp programs
	@cd tests && ../$(BIN)/python -m faults

## make fuzz    many requests made up from our OpenAPI description; EXAMPLES=1000
EXAMPLES ?= 1000
fuzz: $(VENV)/test.stamp
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/http/test_fuzz.py --timeout 0
