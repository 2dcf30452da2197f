# make lab     opens JupyterLab on the first notebook;  LAB_ARGS="--no-browser --port 8890" passes options on
# make test    runs ruff, mypy, all tests and all notebooks;  TEST_ARGS="-k brightness" passes options on
# make test-others  runs mypy and the quick tests on every other supported Python that is here, in .venv-3.x
# make check-setup  says whether this machine has what the notebooks need, in words to mail
# make hand-in      packs answers, settings and pinned cases of notebooks/ into a file
# make wheelhouse   fetches the packages of the lock into wheelhouse/, from which the others then install without a
#              network;  PLATFORMS="linux windows mac" PYTHONS="3.12 3.13" names other machines than this one
# make exercises  derives the lessons anew from notebooks/solutions, and runs them
# make lock    solves pyproject.toml anew into requirements.lock (needs uv)
# make audit   asks for known vulnerabilities of what the lock names, before a release (needs uv and a network)
# make clean   removes the environments
#
# All but the last three make .venv from requirements.lock, once. PYTHON=python3.12 chooses the Python.

LAB_ARGS ?=
TEST_ARGS ?=
PLATFORMS ?=
PYTHONS ?=

# The Python that made .venv comes first, so that the environment is kept when a newer Python arrives.
FOUND = "$$(sed -n 's/^executable = //p' .venv/pyvenv.cfg 2>/dev/null)" python3.13 python3.12 python3.11 python3 python
PYTHON_NAMES = $(if $(PYTHON),"$(PYTHON)",$(FOUND))

# Each is run, since a name on the path may be a shim for a version that is not there. Debian has ensurepip in python3-venv.
FITS = import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
VERSION = import sys; print("%d.%d.%d" % tuple(sys.version_info[:3]))

define launch
@seen=; for python in $(PYTHON_NAMES); do \
	if "$$python" -c '$(FITS)' 2>/dev/null; then exec "$$python" -m kit._launch $(1); fi; \
	version=$$("$$python" -c '$(VERSION)' 2>/dev/null) && seen="$$seen $$python ($$version)"; \
done; \
echo "Expected Python 3.11, 3.12 or 3.13 with venv (on Debian and Ubuntu: apt install python3-venv)," \
	"found$${seen:- none}; install one, or name it: make $@ PYTHON=/path/to/python3.12" >&2; exit 1
endef

.PHONY: lab test test-others environment check-setup hand-in wheelhouse exercises lock audit clean

lab:
	$(call launch,lab $(LAB_ARGS))

test:
	$(call launch,test $(TEST_ARGS))

# Those that are not there are named, so that nobody takes them for tested.
test-others:
	@failed=0; for python in python3.13 python3.12 python3.11; do \
		if "$$python" -c '$(FITS)' 2>/dev/null; then "$$python" -m kit._launch quick $(TEST_ARGS) || failed=1; \
		else echo "Left out: $$python is not here, or has no venv."; fi; \
	done; exit $$failed

environment:
	$(call launch,environment)

check-setup:
	$(call launch,check)

hand-in:
	$(call launch,hand-in)

wheelhouse:
	$(call launch,wheelhouse $(addprefix --platform=,$(PLATFORMS)) $(addprefix --python=,$(PYTHONS)))

# What learners get is the same notebooks without their solutions, as they look before anything is answered.
exercises: environment
	.venv/bin/python -m kit.workshop.solutions notebooks/solutions notebooks

# Every supported platform and Python in one file, with hashes and without the address of an index.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--annotation-style line --custom-compile-command "make lock" \
		--extra test pyproject.toml --output-file requirements.lock

# Strict, so that a package that could not be looked up is no clean one.
audit:
	uvx pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

clean:
	rm -rf .venv .venv-3.*
