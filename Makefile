# make quickstart: environment, data, training, evaluation, pictures.
# make test:       environment for development, then the whole suite.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
RECIPE := gin/recipes/inksight_quickstart.gin

.PHONY: quickstart test lint venv clean

# Rendered once, by all cores, before training: then both cores train. Two of the
# short answers fit a row of targets: 32 examples a step in 16 rows.
quickstart: $(VENV)/.installed
	$(BIN)/inksight-jax data cache --gin_file=$(RECIPE) --output_dir=$(RUN)/data
	$(BIN)/inksight-jax train --gin_file=$(RECIPE) \
	  --gin_file=gin/runs/from_shards.gin --gin.SHARDS='"$(RUN)/data"' \
	  --gin.PACK_SLOTS=2 --gin.BATCH_SIZE=16 --model_dir=$(RUN) --resume
	$(BIN)/inksight-jax evaluate --model_dir=$(RUN)

# A file's tests share what they compile: each file goes to one process.
test: $(VENV)/.dev
	JAX_PLATFORMS=cpu $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/shellcheck -x tpu/*.sh .ci/run

venv: $(VENV)/.dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python %d.%d found; 3.11 to 3.13 is wanted: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.dev: setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[tensorflow,dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) runs
