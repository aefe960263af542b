# make demo         wheels only, no root, no compiler: the LJ melt on one and on two ranks
# make test         the full stack (MPI and parallel HDF5) in .venv, and the test suite on it, with
#                   a sample of the faults that storage must survive
# make test-faults  all of these faults: every system call, every rank; a quarter of an hour more
# make lint         ruff and mypy, as the pre-commit hooks run them
# make floors       the quick tests on the lowest versions that pyproject.toml promises
#
# Choose an interpreter with PYTHON=..., pass options to pytest with ARGS="tests/unit -k cells".

.PHONY: demo test test-faults lint floors venv clean
.DELETE_ON_ERROR:

SETUP := .ci/environment.sh
ARGS ?=
# Which tests `make test` leaves to `make test-faults`; SAMPLE= runs them too.
SAMPLE ?= -m "not (faults and slow)"

demo: .venv-demo/ready
	.venv-demo/bin/python .ci/demo.py

test: .venv/ready
	.venv/bin/python -m pytest $(SAMPLE) $(ARGS)

test-faults: .venv/ready
	.venv/bin/python -m pytest tests/faults tests/restart $(ARGS)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/mypy

floors: .venv-floors/ready
	.venv-floors/bin/python -m pytest tests/unit tests/mpi tests/cli $(ARGS)

venv: .venv/ready

.venv/ready: pyproject.toml $(SETUP)
	$(SETUP) full .venv
	@touch $@

.venv-demo/ready: pyproject.toml $(SETUP)
	$(SETUP) demo .venv-demo
	@touch $@

.venv-floors/ready: pyproject.toml $(SETUP) .ci/floors.py
	$(SETUP) floors .venv-floors
	@touch $@

clean:
	rm -rf .venv .venv-demo .venv-floors .cache .mypy_cache .pytest_cache .ruff_cache
