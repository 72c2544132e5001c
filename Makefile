# Everything sets itself up: a fresh Debian or Ubuntu with python3 (and its venv), make and git is enough.
# The distribution's Python is preferred: it is built with profiles, which a self-built one often is not, and that
# is worth a tenth of the CPU per request.
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
  $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
  done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check format docs bench bench-full bench-judge bench-micro prove lock clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## See four canaries raised and taken back; DEMO=--play for two shops to try things on
	@$(BIN)/canaryproxy demo $(DEMO)

test: $(VENV)/dev ## Run all tests with branch coverage (servers that are missing are listed)
	@$(BIN)/python -m pytest --cov --cov-report=term $(TEST)

check: $(VENV)/dev ## Format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-cache) || { echo "$$said"; exit 1; }; echo "$$said" | tail -n 1

format: $(VENV)/dev ## Format the code and mend what can be mended
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

docs: $(VENV)/dev ## Write the generated pages of docs/
	@$(BIN)/python -m canaryproxy.config.reference

bench: $(VENV)/bench ## Compare with nginx, HAProxy, Envoy, Traefik, Caddy and a floor; under ten minutes
	@$(BIN)/python -m bench.race $(BENCH)

bench-full: $(VENV)/bench ## The same with memory, bodies, connections, TLS and scaling; under an hour
	@$(BIN)/python -m bench.race --full $(BENCH)

bench-judge: $(VENV)/bench ## Simulate the judge: false alarms, delays, drift, users, machines; about an hour
	@$(BIN)/python -m bench.judge $(JUDGE)

bench-micro: $(VENV)/bench ## Time the parsing of heads beside httptools and h11
	@$(BIN)/python -m bench.micro.heads

prove: $(VENV)/bench ## Show the claims: split, reload, drain, memory; CONFORMANCE=dir adds the conformance rounds
	@$(BIN)/python -m bench.prove $(if $(CONFORMANCE),--conformance $(CONFORMANCE)) $(PROVE)

lock: $(VENV)/dev ## Pin versions and hashes anew
	@$(PIP) install uv
	@for set in runtime dev bench; do \
	  extra=$$([ $$set = runtime ] || echo "--extra $$set"); [ $$set = bench ] && extra="$$extra --extra dev"; \
	  $(BIN)/uv pip compile pyproject.toml $$extra --universal --generate-hashes --no-emit-index-url --no-config \
	    --quiet --upgrade --custom-compile-command "make lock" --output-file requirements/$$set.txt; done

clean: ## Remove the environment and caches
	@rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "canaryproxy needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "the venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/%: requirements/%.txt pyproject.toml | $(VENV)/created
	@echo "setting up $(VENV) ($*)"
	@$(PIP) install --require-hashes -r requirements/$*.txt
	@$(PIP) install --no-deps -e .
	@touch $@
