# Two commands on a machine with Python >= 3.11, pip, git and make: `make demo` and `make test`.
# Everything lands in .venv, .tools and runs/ of this folder. After the first set-up nothing needs the network.

PYTHON ?= python3
TORCH_INDEX ?=
WORKERS ?= 2

SHELL := /bin/sh
BIN := .venv/bin
LAB := .venv/share/jupyter/lab/settings/overrides.d
READY := .venv/.losa-ready
STARTED := .tools/set-up-started

FAST = tests/test_repo.py tests/test_face.py tests/test_config.py tests/test_segments.py tests/model tests/inference

RUN_NOTEBOOK = $(BIN)/papermill --progress-bar --cwd notebooks "$$book" "$$PWD/runs/unfinished.ipynb" && \
    mv runs/unfinished.ipynb "runs/$$book"

export UV_HTTP_TIMEOUT ?= 300
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
export PIP_USER = 0

.PHONY: help setup demo check test notebooks ablations gallery pictures measure lint clean
.DEFAULT_GOAL := help

help:  ## this list
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1 \2/p' Makefile | awk '{t = $$1; $$1 = ""; printf "  %-11s%s\n", t, $$0}'
	@echo "Variables: PYTHON=python3.12 picks the interpreter, WORKERS=4 the number of test processes, and"
	@echo "TORCH_INDEX=https://download.pytorch.org/whl/cpu installs torch without CUDA (first set-up only)."

setup: $(READY)  ## make .venv with everything in it (demo and test do this themselves)

demo: $(READY)  ## the main job: world, taps, training, predictions, a page of segments in runs/demo
	@$(BIN)/losa demo

check: $(READY)  ## lint, types and the fast tests, before every commit
	@$(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/python -m pytest -n $(WORKERS) -x $(FAST)

test: $(READY)  ## lint, types and all tests
	@$(BIN)/ruff check . && $(BIN)/mypy; lint=$$?; \
	    $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -rs && exit $$lint

notebooks: demo  ## run the quick notebooks with their own defaults; the results are in runs/notebooks
	@mkdir -p runs/notebooks
	@for book in notebooks/0[01245678]_*.ipynb; do $(RUN_NOTEBOOK) || exit 1; done

ablations: demo  ## run 03_ablations and 03b_modes with their own defaults (an hour and a half)
	@mkdir -p runs/notebooks
	@for book in notebooks/03*.ipynb; do $(RUN_NOTEBOOK) || exit 1; done

gallery: demo  ## an offline page of the notebooks that have run, in runs/gallery (runs 00, 01, 05, 06 if need be)
	@mkdir -p runs/notebooks
	@for book in notebooks/0[0156]_*.ipynb; do test "runs/$$book" -nt "$$book" || { $(RUN_NOTEBOOK); } || exit 1; done
	@$(BIN)/python -c "from losa.reports.gallery import write_gallery; \
	    print(write_gallery('runs/notebooks', 'notebooks', 'runs/gallery'))"

pictures: demo  ## screenshots of every widget and notebook, in runs/pictures and for the README (needs chromium)
	@$(BIN)/python tests/browser/pictures.py --keep notebooks/pictures

measure: $(READY)  ## the tables of the README, measured again (long)
	@$(BIN)/losa bench memory
	@$(BIN)/losa bench train --epochs 2
	@$(BIN)/losa bench sweep --runs 2 --epochs 4
	@$(BIN)/losa bench speed
	@$(BIN)/python tests/browser/speed.py
	@$(BIN)/losa study ablations --pictures notebooks/pictures

lint: $(READY)  ## ruff alone
	@$(BIN)/ruff check .

clean:  ## remove the set-up and caches; runs/ stays
	rm -rf .venv .tools losa.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find losa widgets tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that an interrupted set-up is not taken for a finished one. A .venv is made anew only
# if a set-up broke off in it or its Python does not run; otherwise it is brought up to date.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "losa needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
	    echo "Name another one, for example: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	    echo "$(PYTHON) has no pip. Install it (Debian: apt-get install python3-pip) and run make again." >&2; exit 1; }
	@if kill -0 "$$(cat $(STARTED) 2>/dev/null)" 2>/dev/null; then \
	    echo "Process $$(cat $(STARTED)) is setting up .venv already. Wait for it, or remove $(STARTED)." >&2; exit 1; fi
	@if test -e $(STARTED); then rm -rf .venv; fi
	@mkdir -p .tools && echo $$PPID > $(STARTED)
	@echo "Setting up .venv, once. What is not in uv's cache is downloaded:"
	@echo "  Linux: about 3.3 GB (torch with CUDA is 2.9 GB of it), 6.5 GB on disk; macOS: about 0.5 GB;"
	@$(if $(TORCH_INDEX),echo "  here less: torch comes from $(TORCH_INDEX).", \
	    echo "  without a GPU: TORCH_INDEX=https://download.pytorch.org/whl/cpu saves most of it.")
	@test -x .tools/bin/uv || $(PYTHON) -m pip install -qq --upgrade --target .tools uv
	@$(BIN)/python -c "" 2>/dev/null || \
	    .tools/bin/uv venv --quiet --clear --no-python-downloads --python "$(PYTHON)" .venv
	@$(if $(TORCH_INDEX),.tools/bin/uv pip install --python $(BIN)/python torch torchvision --index-url "$(TORCH_INDEX)")
	@.tools/bin/uv pip install --python $(BIN)/python --compile-bytecode -e '.[dev]'
	@mkdir -p $(LAB) && cp widgets/losa.json $(LAB)  # JupyterLab saves widgets with a notebook
	@if test -e .git && command -v git >/dev/null; then \
	    git config --local --replace-all include.path ../.gitconfig '^\.\./\.gitconfig$$' || \
	    echo "git did not take the notebook filter (see .gitattributes); only commits of notebooks need it."; fi
	@rm -f $(STARTED) && touch $(READY)
