"""Shared by all tests."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["HF_HUB_OFFLINE"] = "1"  # published weights are never downloaded in a test

import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def _what_is_there_stays():
    """`clear_session` collects garbage after every test: of what was imported there is none.

    Otherwise it reads half a million objects each time, which was half of the time of all tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed():
    """The same random weights at every run, and no models left over from other tests."""
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


@pytest.fixture
def mixed_float16():
    """Build layers and models in mixed precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture
def call(capfd):
    """Call `main` in this process: (status, standard output, standard error)."""

    from keras_se import cli

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capfd.readouterr()

    return call
