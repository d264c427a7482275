"""The examples in the docstrings, run by module name."""

import doctest
import importlib
import pkgutil

import pytest

import keras_se

NOT_IMPORTED = {
    "keras_se.keras_se",  # what a checkout, whose root is on the path, shows of itself
    "keras_se.__main__",  # runs the command line
    "keras_se.tflite.tfmot.child",  # a program of its own, which flips tf.keras where it runs
}


def modules(package):
    """The names of a package and of everything below it."""
    yield package.__name__
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name in NOT_IMPORTED:
            continue
        if module.ispkg:
            yield from modules(importlib.import_module(module.name))
        else:
            yield module.name


@pytest.mark.parametrize("name", list(modules(keras_se)))
def test_docstring_examples(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0, f"{results.failed} of {results.attempted} examples; see above"


def test_every_layer_has_an_example():
    public = [getattr(keras_se.layers, name) for name in keras_se.layers.__all__]
    for layer in filter(lambda each: isinstance(each, type), public):
        [documented] = doctest.DocTestFinder(recurse=False).find(layer)
        assert documented.examples, layer
