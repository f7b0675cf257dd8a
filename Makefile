# Everything a person runs. `make help` explains itself; CI runs `make check test` and nothing else.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml CMakeLists.txt $(wildcard native/*)
# The kernels as an ARM machine compiles them; of their faces (bind*) only the syntax, with the headers of this machine's Python.
ARM_CXX := $(shell command -v aarch64-linux-gnu-g++)
ARM_SOURCES := $(filter-out native/bind% %_avx2.cpp %_avx512.cpp,$(wildcard native/*.cpp))
ARM_FLAGS := -std=c++20 -Wall -Wextra -Werror -ffp-contract=off
ARM_HEADERS = $(shell $(BIN)/python -c 'import nanobind, sysconfig; print("-isystem", nanobind.include_dir(), "-isystem", sysconfig.get_paths()["include"])')
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
.DEFAULT_GOAL := help
# Some containers forbid Python to keep what it has compiled: every process would compile Leadline again, a third of its start.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run demo setup check check-arm test attack bench bench-data fix docs translations clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 15

run: demo ## set everything up, run the main job on pictures the project draws itself, then serve the workbench
	@$(BIN)/leadline up

demo: .venv/.installed ## the main job on drawn pictures: scan, verdicts, HTML report in ./demo
	@$(BIN)/leadline demo --out demo

setup: .venv/.tools ## .venv with Leadline, its compiled kernel and the tools of check and test

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "leadline: Python 3.11 or newer is needed ($(PYTHON)): name one with 'make PYTHON=python3.12 ...'"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: $(SOURCES) | .venv/bin/python
	@echo "setting up .venv (compiles the kernel; about a minute)"
	@$(PIP) --editable '.[workbench,service,exchange,agreement]'
	@touch $@

.venv/.tools: $(SOURCES) | .venv/bin/python
	@echo "setting up .venv with the test tools (compiles the kernel; about two minutes)"
	@$(PIP) --editable '.[workbench,service,exchange,s3,agreement,test,oracle,ray]'
	@touch .venv/.installed $@

.venv-bench/.ready: $(SOURCES)
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[workbench,service,exchange,oracle,bench]'
	@touch $@

check: .venv/.tools ## types, lint, import rules
	@$(BIN)/ruff check src tests bench
	@LEADLINE_HOME=$$(mktemp -d) $(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory check-arm

check-arm: .venv/.tools
ifeq ($(ARM_CXX),)
	@echo "no ARM compiler (Debian: g++-aarch64-linux-gnu), so the kernels were not compiled for ARM"
else
	@for file in $(ARM_SOURCES); do $(ARM_CXX) $(ARM_FLAGS) -O1 -c $$file -o /dev/null || exit 1; done
	@headers="$(ARM_HEADERS)"; if echo '#include <Python.h>' | $(ARM_CXX) $$headers -fsyntax-only -x c++ - 2>/dev/null; \
	then $(ARM_CXX) $(ARM_FLAGS) $$headers -fsyntax-only native/bind*.cpp; \
	else echo "the headers of this Python are not for ARM, so the kernels' faces were not compiled"; fi
endif

.venv/.servers: .venv/.tools
	@$(BIN)/python tests/servers.py install
	@touch $@

test: .venv/.servers ## every behaviour once (<= 15 minutes on two cores, which four processes keep busy)
	@$(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder

attack: .venv/.servers ## fuzzers, hundreds of kills, memory at size; writes bench/ATTACK.md
	@$(BIN)/python -m bench.attack

bench: .venv-bench/.ready .venv/.servers ## figures, ours and the peers' in one run; writes bench/RESULTS.md
	@.venv-bench/bin/python -m bench.run

bench-data: .venv/.tools ## benign photographs of two Debian packages for demo and tests (112 MB; never committed)
	@$(BIN)/python tests/servers.py photos

fix: .venv/.tools ## let ruff mend what it can
	@$(BIN)/ruff check --fix src tests bench

docs: .venv/.tools ## regenerate docs/cli.md from the help texts
	@$(BIN)/python -m leadline.cli.reference > docs/cli.md

translations: .venv/.tools ## bring new strings into the catalogues of every language, and compile them
	@LEADLINE_HOME=$$(mktemp -d) $(BIN)/python -m tests.workbench.strings

clean: ## remove what the above made
	rm -rf .venv .venv-bench build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
