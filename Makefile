# Everything runs in .venv, which is set up when it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-models test-examples test-distributed test-matrix test-backends test-mediapipe lint types bench docs clean

demo: .venv/ready
	$(BIN)/keras-se demo --output demo-output --overwrite

test: .venv/ready
	$(BIN)/python -m pytest -q -n 2

test-slow: .venv/ready
	$(BIN)/python -m pytest -q -m slow
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -m slow tests/test_backends.py

# The figures of the deepest networks.
test-models: .venv/ready
	$(BIN)/python -m pytest -q -n 2 -m slow tests/test_models_table.py

# The examples and the notebook, as processes of their own, with few pictures.
test-examples: .venv/ready
	$(BIN)/python -m pytest -q -m slow tests/test_examples.py tests/test_notebook.py

# Training in several processes and on several devices, and what happens when one dies.
test-distributed: .venv/ready
	$(BIN)/python -m pytest -q -m slow tests/test_distributed.py

# A network of every family with every recipe; docs/generate_matrix.py writes the table.
test-matrix: .venv/ready
	$(BIN)/python -m pytest -q -m slow tests/test_matrix.py

# The layers, applications and training on JAX and PyTorch, and training from TensorFlow
# Datasets, in an environment of their own.
test-backends: .venv-backends/ready
	KERAS_BACKEND=jax .venv-backends/bin/python -m pytest -q tests/test_backends.py tests/test_fit.py
	KERAS_BACKEND=torch .venv-backends/bin/python -m pytest -q tests/test_backends.py
	KERAS_BACKEND=torch .venv-backends/bin/python -m pytest -q tests/test_fit.py -k broken_off
	.venv-backends/bin/python -m pytest -q tests/test_tfds.py

# Files with metadata in MediaPipe Tasks, whose absl-py excludes that of the extra `tfmot`.
test-mediapipe: .venv/ready .venv-mediapipe/ready
	$(BIN)/python -m pytest -q -rP tests/test_metadata.py -k mediapipe

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy knows packages by where they lie: links put the three folders as they are installed.
types: .venv/ready
	rm -rf build/types && mkdir -p build/types/keras_se
	ln -s $(CURDIR)/keras_se/* $(CURDIR)/applications $(CURDIR)/tflite build/types/keras_se/
	cd build/types && $(abspath $(BIN))/python -m mypy --config-file $(CURDIR)/pyproject.toml -p keras_se

bench: .venv/ready
	$(BIN)/python benchmarks/grouped_conv.py

# The documentation site, in an environment of its own: it reads the source, and needs no TensorFlow.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

.venv/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	touch $@

.venv-backends/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-backends
	.venv-backends/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,tfds]" torch==2.13.0
	touch $@

.venv-mediapipe/ready:
	$(PYTHON) -m venv .venv-mediapipe
	.venv-mediapipe/bin/python -m pip install --quiet --disable-pip-version-check mediapipe==1.2.2
	touch $@

.venv-docs/ready: docs/requirements.txt constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r docs/requirements.txt
	touch $@

clean:
	rm -rf build dist site demo-output *.egg-info .pytest_cache .ruff_cache
