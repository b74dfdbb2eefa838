PROFILE ?= demo
PYTHON ?= python3
BIN := .venv/bin
# kernels start in notebooks/, where relative paths of the environment would mean other folders
HERE := import os, sys; from genre_utils.workspace import files; files.quiet_libraries(); \
  os.execve(sys.executable, [sys.executable, "-m", *sys.argv[1:]], files.child_environment())

# tests that train no network, without the longest
CHECKED := tests/test_docstrings.py tests/test_house.py tests/test_joining.py tests/test_packaging.py tests/notebooks/test_notebooks.py \
  tests/data tests/evaluation tests/features tests/paper tests/plots
LONG := tests/data/test_composer.py tests/data/test_downloads.py tests/features/test_fuzz.py tests/features/test_store.py

.PHONY: study reports check lint test lab page bench numbers docs address clean

study: .venv/ready  ## run the study of a profile: make study PROFILE=gtzan-mel
	$(BIN)/python -m genre_utils study --profile $(PROFILE)

reports: .venv/ready  ## make the committed reports anew, and the numbers of the texts: three hours; goes on where it stopped
	for profile in demo gtzan-mel-full; do $(BIN)/python -m genre_utils study --profile $$profile || exit 1; done
	$(BIN)/python docs/fill.py

check: lint  ## under three minutes on two cores: lint, types, unit tests that train no network
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 5 $(CHECKED) $(LONG:%=--ignore=%)

lint: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

test: .venv/page .venv/docs lint  ## lint, types, unit tests, notebooks as tests, command line, reports in a browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 10

lab: .venv/ready  ## step through the notebooks
	$(BIN)/python -c '$(HERE)' jupyter lab --ip=127.0.0.1 --notebook-dir=. notebooks/01_data_preparation.ipynb

bench: .venv/ready  ## run all benchmarks on two cores, an hour; or some: make bench NAMES="extraction --quick"
	$(BIN)/python benchmarks/run.py --cores 2 $(NAMES)

page: .venv/page  ## try recognition in a browser
	$(BIN)/python -m genre_utils page

docs: .venv/docs  ## build the documentation, and print where it is
	$(BIN)/python -m sphinx -q -W --keep-going -n -d docs/_build/doctrees docs docs/_build/html
	@echo "Open docs/_build/html/index.html in a browser."

numbers: .venv/ready  ## write the numbers of README.md and docs/ from the stored results
	$(BIN)/python docs/fill.py

address:  ## write where this is published into notebooks, README.md and CITATION.cff: make address REPOSITORY=https://github.com/OWNER/NAME
	$(PYTHON) scripts/address.py $(REPOSITORY)

clean:  ## remove the environment, the caches and the quick study; corpora and other reports stay
	rm -rf .venv build dist data/cache reports/quick *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

.venv/ready: requirements.txt requirements-nodeps.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one with make PYTHON=python3.12"; exit 1; }
	@echo "Installing the study's environment into .venv (once; about 2 GB and some minutes)."
	@$(PYTHON) -m venv .venv || $(PYTHON) -m virtualenv .venv || \
	  { echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-nodeps.txt
	@touch .venv/ready

.venv/page: .venv/ready requirements-page.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-page.txt
	@touch .venv/page

.venv/docs: .venv/ready requirements-docs.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch .venv/docs
