# Everything runs in .venv, which is set up when it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-backends test-mediapipe lint bench clean

demo: .venv/ready
	$(BIN)/keras-se demo --output demo-output --overwrite

test: .venv/ready
	$(BIN)/python -m pytest -q -n 2

test-slow: .venv/ready
	$(BIN)/python -m pytest -q -m slow
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -m slow tests/test_backends.py

# The layers, applications and training on JAX and PyTorch, in an environment of their own.
test-backends: .venv-backends/ready
	KERAS_BACKEND=jax .venv-backends/bin/python -m pytest -q tests/test_backends.py tests/test_fit.py
	KERAS_BACKEND=torch .venv-backends/bin/python -m pytest -q tests/test_backends.py

# Files with metadata in MediaPipe Tasks, whose absl-py excludes that of the extra `tfmot`.
test-mediapipe: .venv/ready .venv-mediapipe/ready
	$(BIN)/python -m pytest -q -rP tests/test_metadata.py -k mediapipe

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/ready
	$(BIN)/python benchmarks/grouped_conv.py

.venv/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	touch $@

.venv-backends/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-backends
	.venv-backends/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]" torch==2.13.0
	touch $@

.venv-mediapipe/ready:
	$(PYTHON) -m venv .venv-mediapipe
	.venv-mediapipe/bin/python -m pip install --quiet --disable-pip-version-check mediapipe==1.2.2
	touch $@

clean:
	rm -rf build dist demo-output *.egg-info .pytest_cache .ruff_cache
