"""C arrays, compiled by a C and a C++ compiler."""

import shutil
import subprocess

import keras
import pytest

from keras_se.tflite import convert, to_c_array

PROGRAM = """
#include "model.h"
#include "model.h"
#include <stdio.h>
int main(void) {
  if ((size_t)model % 16) return 1;
  return fwrite(model, 1, model_len, stdout) != model_len || sizeof(model) != model_len;
}
"""


@pytest.fixture(scope="module")
def content():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    return convert(keras.Sequential(layers), "float32").model


@pytest.mark.parametrize(
    ("compiler", "suffix", "standard"),
    [("gcc", ".c", "c11"), ("g++", ".cc", "c++11"), ("g++", ".cc", "c++20")],
)
def test_a_compiled_program_holds_the_bytes(content, compiler, suffix, standard, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    (tmp_path / "model.h").write_text(to_c_array(content))
    source, program = tmp_path / f"main{suffix}", tmp_path / "main"
    source.write_text(PROGRAM)
    options = [f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *options, source, "-o", program], check=True)
    assert subprocess.run([program], capture_output=True, check=True).stdout == content


@pytest.mark.parametrize("name", ["", "8bit", "a-b", "float", "class", "é", "a b", "_Model"])
def test_a_name_that_c_does_not_take_is_refused(name):
    with pytest.raises(ValueError, match="Received: name="):
        to_c_array(b"1", name)


def test_no_bytes_are_refused():
    with pytest.raises(ValueError, match="no bytes"):
        to_c_array(b"")
