# make lab          opens JupyterLab on the first notebook;  LAB_ARGS="--no-browser --port 8890" passes options on
# make test         runs ruff, mypy, all tests and all notebooks;  TEST_ARGS="-k brightness" passes options to pytest
# make test-others  runs mypy and the quick tests on the oldest and the newest other Python, in .venv-3.x
# make test-oldest  runs the quick tests on the oldest packages that pyproject.toml allows, in .venv-oldest
# make test-hosted  installs the kit beside the packages of Colab, which stay as they are, and runs the quick tests there
# make check-setup  says whether this machine has what the notebooks need
# make wheelhouse   downloads the packages of the lock into wheelhouse/, from which the others then install offline
# make wheel        builds the kit with its models, images and lessons as one file in dist/
# make record       writes again what tests compare with: public names, what is said, what pages compute and show (node)
# make exercises    runs the notebooks in notebooks/solutions and derives the lessons from them
# make site         writes the lessons into site/ as pages whose explorers move without Python or a network
# make lock         solves pyproject.toml again into requirements.lock and tests/oldest.txt (needs uv)
# make audit        looks up known vulnerabilities of what the lock names (needs uv and a network)
# make clean        removes the environments
#
# Those up to make site make .venv from requirements.lock, once. PYTHON=python3.12 chooses the Python.

LAB_ARGS =
TEST_ARGS =
ENV = .venv
LOCK = requirements.lock

# TensorFlow and Keras read these when they are first imported; kernels and test processes inherit them.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export KERAS_BACKEND ?= tensorflow

# Each candidate is tried, since a name on the path may be a shim for a version that is not there. The Python of the
# environment comes first, so that it is kept when a newer Python arrives.
FITS = import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
CANDIDATES = $(if $(PYTHON),"$(PYTHON)",$(ENV)/bin/python python3.13 python3.12 python3.11 python3 python)
FOUND := $(shell for each in $(CANDIDATES); do "$$each" -c '$(FITS)' 2>/dev/null && echo "$$each" && break; done)
VERSION := $(if $(FOUND),$(shell "$(FOUND)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'))

# An environment holds absolute paths: one whose folder was moved, or whose Python is gone, is made again.
ifneq ($(shell grep -qs '$(CURDIR)/$(ENV)$$' $(ENV)/pyvenv.cfg && $(ENV)/bin/python -c '' && echo whole),whole)
$(shell rm -f $(ENV)/packages-*)
endif

# Written last, so that an installation that was cut off is made again, as is one of another lock or Python.
PACKAGES = $(ENV)/packages-$(VERSION)
READY = $(ENV)/ready
RUN = $(ENV)/bin/python
PIP = $(RUN) -m pip --disable-pip-version-check
OFFLINE = $(if $(wildcard wheelhouse),--no-index --find-links=wheelhouse)

# A test file stays with one worker, as do the fixtures it makes; each worker that opens TensorFlow takes a gigabyte.
WORKERS = --numprocesses=auto --maxprocesses=4 --dist=loadfile
# What another Python or numpy breaks first, in a minute: no browser, no notebook, no training.
QUICK = tests/images tests/perturbation tests/preprocessing tests/explorer/test_kernel.py tests/test_plots.py \
	tests/test_checking.py tests/test_command_line.py tests/test_functions.py tests/test_samples.py

# What is written for browsers.
SCRIPTS = $(wildcard kit/explorer/page/*.js tests/page/*.mjs tests/browser/*.js notebooks/solutions/*.js)
STYLES = $(wildcard kit/explorer/page/*.css)

# Every check runs, even if one before it fails.
MAKEFLAGS += --keep-going

.PHONY: lab test lint types pytest quick test-others test-oldest test-hosted hosted environment check-setup wheelhouse wheel record exercises site lock audit clean

# The address it prints leads to the notebook, too. In a container there may be nobody to be but root.
lab: environment
	$(RUN) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_explore.ipynb \
		--LabApp.workspaces_dir="$(CURDIR)/$(ENV)/share/jupyter/lab/workspaces" \
		$(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

test: lint types pytest

lint: environment
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(ENV)/bin/oxlint --deny-warnings $(SCRIPTS)
	$(ENV)/bin/oxfmt --check $(SCRIPTS) $(STYLES)

types: environment
	$(RUN) -m mypy --strict kit

# -rs names what is left out, so that nobody takes it for tested.
pytest: environment
	$(RUN) -m pytest -rs $(WORKERS) $(TEST_ARGS)

quick: types
	$(RUN) -m pytest -rs $(WORKERS) $(QUICK) $(TEST_ARGS)

test-others:
	@failed=0; for version in $(filter-out $(VERSION),3.13 3.11); do \
		if python$$version -c '$(FITS)' 2>/dev/null; then \
			$(MAKE) quick PYTHON=python$$version ENV=.venv-$$version || failed=1; \
		else echo "Left out: python$$version is not here, or has no venv."; fi; \
	done; exit $$failed

test-oldest:
	$(MAKE) pytest PYTHON=python3.11 ENV=.venv-oldest LOCK=tests/oldest.txt TEST_ARGS="$(QUICK) $(TEST_ARGS)"

test-hosted:
	$(MAKE) hosted ENV=.venv-hosted LOCK=tests/colab.txt

# As people install it who have everything else already; what the tests need comes after that.
hosted: $(PACKAGES)
	$(PIP) install --quiet -e .
	@$(PIP) freeze > $(ENV)/installed.txt
	@! grep -v '^#' $(LOCK) | grep -vxFf $(ENV)/installed.txt || { echo "Expected the packages above as they were," \
		"received others; lower the floor of pyproject.toml that replaced them" >&2; exit 1; }
	$(PIP) install --quiet --constraint $(LOCK) -e '.[quick]'
	$(RUN) -m pytest -rs $(WORKERS) $(QUICK) $(TEST_ARGS)

environment: $(READY)

# Users have packages whose content the lock vouches for; those of the other two are for tests alone.
$(PACKAGES): $(LOCK)
	@[ "$(FOUND)" ] || { echo "Expected Python 3.11, 3.12 or 3.13 with venv (Debian and Ubuntu: apt install" \
		"python3-venv), found none; install one, or name it: make lab PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making $(ENV) with Python $(VERSION): once, about 2.9 GB, a minute or more."
	"$(FOUND)" -m venv --clear $(ENV)
	$(PIP) install $(OFFLINE) $(if $(filter %.lock,$(LOCK)),--require-hashes) --only-binary=:all: -r $(LOCK)
	mkdir -p $(ENV)/share/jupyter/lab
	cp -R notebooks/.jupyterlab/. $(ENV)/share/jupyter/lab
	touch $@

# Built by the locked hatchling: a build environment of its own would fetch packages without hashes.
$(READY): $(PACKAGES) pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

check-setup: environment
	$(RUN) -m kit check

wheelhouse: environment
	$(PIP) download --require-hashes --only-binary=:all: -r requirements.lock -d wheelhouse

wheel: environment
	$(RUN) -m hatchling build -t wheel

# The page is walked last, with what the kit has written down just before.
record: environment
	$(RUN) -m tests.test_public_surface
	$(RUN) -m tests.said
	$(RUN) -m tests.page.record
	RECORD=1 node tests/page/page.test.mjs

exercises: environment
	$(RUN) notebooks/solutions/derive.py

site: environment
	$(RUN) notebooks/solutions/publish.py

# Every supported platform and Python in one file, with hashes and without the address of an index.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--annotation-style line --custom-compile-command "make lock" \
		--extra keras --extra lab --extra quick --extra test pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --upgrade \
		--no-annotate --custom-compile-command "make lock" \
		--extra keras --extra quick pyproject.toml --output-file tests/oldest.txt

# Strict, so that a package that could not be looked up is no clean one.
audit:
	uvx pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

clean:
	rm -rf .venv .venv-*
