# Each target installs what it needs. A fresh Debian or Ubuntu with python3 (and venv), make and git is sufficient. With gcc
# and python3-dev the hot modules are compiled.
# The distribution's Python is preferred: it is a profile-guided build, which a self-built one often is not, and takes a
# tenth less CPU per request.
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
  $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
  done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Two processes: most tests wait for sockets. Expensive fixtures stay in one of them (xdist_group).
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup
# Plain Python is the reference for compiled code: it runs the tests of the hot modules, the twins and every numbered
# promise of docs/http.md (tests/test_layout.py compares this list with them).
PLAIN := tests/http tests/integration tests/model tests/dataplane tests/routing tests/twins tests/probes/test_health.py \
  tests/telemetry/record/test_distinct_users.py tests/telemetry/record/test_logarithm.py tests/telemetry/record/test_recorder.py tests/test_mode.py
COMPILE := $(BIN)/python setup.py --quiet build_ext --inplace
# Without extras a requirement with an extra is not locked: pip rejects the lock once a newer release exists.
LOCK := $(BIN)/uv pip compile --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-config \
  --quiet --upgrade --custom-compile-command "make lock"

# Compile first, with visible progress; pip, which hides build output, then only copies the result.
define INSTALL
@$(COMPILE)
@$(BIN)/python -m pip --disable-pip-version-check --verbose install --no-deps --no-build-isolation --editable . >$(VENV)/install.log 2>&1 \
  || { cat $(VENV)/install.log; exit 1; }
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo compile test test-plain coverage check check-locks check-release release format docs bench bench-full bench-judge bench-micro bench-base prove prove-small prove-attacks wheel lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## Show four rollouts; DEMO=--play for two sample shops to experiment with
	@$(BIN)/python -c 'from canaryproxy.mode import *; exit(available().why == CHANGED)' \
	  || $(MAKE) --no-print-directory --assume-new setup.py $(VENV)/runtime
	@$(BIN)/canaryproxy --version
	@echo "starting two small shops and the proxy; Ctrl-C ends it"
	@$(BIN)/canaryproxy demo $(DEMO)

compile: $(VENV)/dev ## Compile the hot modules in place (needs gcc and python3-dev)
	@CANARYPROXY_PLAIN=0 $(COMPILE)

test: $(VENV)/dev ## Run all tests, and those of the hot modules in plain Python too; without a compiler all in plain Python
	@if CANARYPROXY_PLAIN=0 $(COMPILE); then \
	  echo "tests, 1 of 2: all of them, with the hot modules compiled" \
	  && CANARYPROXY_PLAIN=0 $(PYTEST) --cov --cov-report= --cov-fail-under=0 $(TEST) \
	  && echo "tests, 2 of 2: those of the hot modules and the numbered promises, in plain Python" \
	  && CANARYPROXY_PLAIN=1 $(PYTEST) --cov --cov-append --cov-report=term $(or $(TEST),$(PLAIN)); \
	else \
	  [ "$$CANARYPROXY_REQUIRE_ALL" != 1 ] || exit 1; \
	  echo "tests: all of them, in plain Python; compiled they cannot be run, see above" \
	  && CANARYPROXY_PLAIN=1 $(PYTEST) --cov --cov-report=term $(TEST); fi

test-plain: $(VENV)/dev ## Run the tests of the hot modules in plain Python
	@CANARYPROXY_PLAIN=1 $(PYTEST) $(or $(TEST),$(PLAIN))

coverage: $(VENV)/dev ## Compare the last full `make test` with the coverage floor of each package
	@$(BIN)/python tools/coverage_floors.py

check: $(VENV)/dev ## Format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-cache) || { echo "$$said"; exit 1; }; echo "$$said" | tail -n 1

format: $(VENV)/dev ## Format the code and apply automatic fixes
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

docs: $(VENV)/dev ## Write the generated pages of docs/
	@$(BIN)/python -m canaryproxy.config.reference

bench: $(VENV)/bench ## Compare with nginx, HAProxy, Envoy, Traefik, Caddy and a minimal C relay; under ten minutes
	@$(BIN)/python -m bench.race $(BENCH)

bench-full: $(VENV)/bench ## The same with memory, bodies, connections, TLS and scaling; under an hour
	@$(BIN)/python -m bench.race --full $(BENCH)

bench-judge: $(VENV)/bench ## Simulate the judge: false alarms, delays, drift, users, machines; about an hour
	@$(BIN)/python -m bench.judge $(JUDGE)

bench-micro: $(VENV)/bench ## Time the parsing of heads beside httptools and h11
	@$(BIN)/python -m bench.micro.heads

prove: $(VENV)/bench ## Show all claims with real processes and traffic; CONFORMANCE=dir adds the conformance rounds
	@$(BIN)/python -m bench.prove $(if $(CONFORMANCE),--conformance $(CONFORMANCE)) $(PROVE)

prove-small: $(VENV)/dev ## Show a scaled-down row of each group, at most 20 s each
	@$(BIN)/python -m bench.prove --small

prove-attacks: $(VENV)/bench ## Flood the base, this checkout, nginx and HAProxy; about half an hour; ATTACKS="--only idle"
	@$(BIN)/python -m bench.attacks $(ATTACKS)

bench-base: $(VENV)/bench ## CPU per request beside the base 64e2905, paired; BASE="--pairs 20 --config all"
	@$(BIN)/python -m bench.against $(BASE)

# One group of claims: make prove-traffic, prove-control, prove-safety, prove-locust, prove-judge, prove-rollout, prove-memory,
# prove-sanitized (with CONFORMANCE=dir the conformance cases too), prove-single (attacks that need no flood).
prove-%: $(VENV)/bench
	@$(BIN)/python -m bench.prove --group $* $(if $(CONFORMANCE),--conformance $(CONFORMANCE)) $(PROVE)

wheel: $(VENV)/dev ## Write to dist/ a compiled wheel for this Python and machine, and the source distribution
	@rm -rf build/lib* build/bdist*
	@CANARYPROXY_PLAIN=0 $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/python setup.py --quiet sdist
	@ls dist/*

lock: $(VENV)/dev ## Update pinned versions and hashes, extras included
	@$(PIP) install uv
	@for set in runtime dev bench; do \
	  extra=$$([ $$set = runtime ] || echo "--extra $$set"); [ $$set = bench ] && extra="$$extra --extra dev"; \
	  $(LOCK) pyproject.toml $$extra --output-file requirements/$$set.txt || exit 1; done
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(LOCK) - --constraint requirements/dev.txt --output-file requirements/build.txt

check-locks: ## Install every lock as if newer releases of everything existed
	@$(PYTHON) tools/check_locks.py

check-release: ## Compare the version, the tag and CHANGELOG.md
	@$(PYTHON) tools/release.py check

release: ## Write the version and the dated section of a release: VERSION=0.2.0; next steps in docs/releasing.md
	@$(PYTHON) tools/release.py cut $(VERSION) $(DATE)

clean: ## Remove the environment, compiled files and caches
	@rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build dist
	@find canaryproxy -name '*.so' -delete -o -name 'compiled.*.digest' -delete

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "canaryproxy needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "the venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/%: requirements/%.txt requirements/build.txt pyproject.toml setup.py | $(VENV)/created
	@echo "$(VENV): installing the packages of requirements/$*.txt"
	@$(PIP) install --no-deps --require-hashes -r requirements/$*.txt $(if $(filter runtime,$*),-r requirements/build.txt)
	@$(PIP) check
	$(INSTALL)
	@touch $@
