# Everything goes through .venv, made once from the hashed requirements.txt with the newest Python that is there and works
# (a pyenv shim may not), or with `make PYTHON=...`.
VERSIONS := 3.13 3.12 3.11
WORKS := -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
PYTHON ?= $(shell for v in $(VERSIONS); do python$$v $(WORKS) 2>/dev/null && { echo python$$v; break; }; done)
# Without kept bytecode each of the many processes that a sweep and the tests start compiles torch and ray anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
PY := $(VENV)/bin/python
SETUP := $(VENV)/.set-up
DATA ?= data/mini
RUNS ?= runs

.DEFAULT_GOAL := help
.PHONY: help setup demo cluster-demo test test-slow bench bench-methods bench-search bench-search-quick check lint docs docs-site lock clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(SETUP)  ## Make .venv and install the locked packages and the project (once)

$(SETUP): requirements.txt pyproject.toml | $(VENV)/bin/uv
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements.txt
	$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

demo: $(SETUP)  ## The main job: benchmark, dense network, sweep, front (at most 10 minutes on 2 cores)
	$(PY) -m search mini --out $(DATA) --seed 0
	$(PY) -m search sweep search/sweeps/demo.toml --data $(DATA) --storage $(RUNS)/demo

cluster-demo: $(SETUP)  ## The same sweep through `ray job submit` on a head started and stopped for it
	$(PY) -m search mini --out $(DATA) --seed 0
	$(PY) -m search.driver.local_cluster --data $(DATA) --storage $(RUNS)/cluster-demo

# Two at a time, each file whole in one process: its tests share what they have set up. A Ray head with its dashboard
# and its agent comes up in time only when it has the machine to itself.
test: $(SETUP)  ## All tests but the slow ones (at most 20 minutes on 2 cores)
	$(PY) -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/cluster
	$(PY) -m pytest tests/cluster

test-slow: $(SETUP)  ## The slow ones: published sweeps, ten kills, big sets (another quarter of an hour)
	$(PY) -m pytest -m slow

bench: $(SETUP)  ## How long the core takes -> docs/results/speed.md (two minutes, best alone on the machine)
	$(PY) -m benchmarks.speed

bench-methods: $(SETUP)  ## The methods beside each other, 3 seeds -> docs/results/methods.md (an hour or more on 2 cores)
	$(PY) -m benchmarks.methods

bench-search: $(SETUP)  ## The search against random, its rivals and itself -> docs/results/search.md (hours: Optuna's GP takes most)
	$(VENV)/bin/uv pip install --quiet --python $(PY) -e ".[bench]"
	$(PY) -m benchmarks.search

bench-search-quick: $(SETUP)  ## The same with 3 seeds, in 5 minutes; the last line is JSON
	$(PY) -m benchmarks.search --quick

check: lint  ## Lint, types and the fast tests
	$(PY) -m pytest -m "not ray and not slow"

lint: $(SETUP) docs-site  ## ruff, ruff format --check, mypy, and the documentation without a dead link
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(SETUP)  ## Write docs/results/demo.md from a finished `make demo` (needs chromium)
	$(PY) docs/refresh.py $(RUNS)/demo

docs-site: $(SETUP)  ## The documentation as a site -> site/index.html
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

lock: $(VENV)/bin/uv  ## Renew requirements.txt from pyproject.toml, and check that each Python can install it
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade \
		--extra dev --python-version 3.11 pyproject.toml -o requirements.txt
	@for v in $(VERSIONS); do why=$$($(VENV)/bin/uv pip install --quiet --dry-run --target $(VENV)/nothing \
		--require-hashes --only-binary :all: --python-version $$v -r requirements.txt 2>&1) && continue; \
		cause=$$(echo "$$why" | sed -n 's/.*Because \(.*\), we can conclude.*/\1/p'); \
		echo "requirements.txt cannot be installed on Python $$v: $${cause:-$$why}" >&2; exit 1; done

$(VENV)/bin/uv:
	@"$(PYTHON)" $(WORKS) 2>/dev/null || { echo "$(if $(PYTHON),$(PYTHON) is,there is) no Python of 3.11 to 3.13 \
	that works: install one with its venv module, or name it, make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv

clean:  ## Remove .venv and the caches; data and finished sweeps stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
