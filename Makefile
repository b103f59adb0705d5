# Words for every day; each sets up .venv where needed. `make fast` and `make lint` before a commit, `make test` before a push.
PYTHON := .venv/bin/python

.PHONY: setup fast test lint notebooks bench

setup:
	@python3 -c "from capstone_utils.bootstrap import ensure_environment as set_up; set_up('requirements-dev.txt', True)"

fast: setup # the tests that need no server
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "not server and not slow"

test: # everything: style, types, tests, and the notebooks twice
	python3 -m capstone_utils test

lint: setup # format, check and type-check
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m mypy

notebooks: # run them and store their outputs
	python3 -m capstone_utils notebooks refresh

bench: setup # one benchmark: make bench NAME=scoring ARGUMENTS="--json"
	$(PYTHON) -m benchmarks.$(NAME) $(ARGUMENTS)
