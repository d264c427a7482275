"""The process of test_backends.py that counts what XLA compiles: python compilations.py FOLDER.

XLA_FLAGS=--xla_dump_to=FOLDER has XLA write every program that it compiles there. Prints JSON, a
list of runs: [kind of network, "fit" or "predict", [height, width], programs after every step].
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from keras_se.layers import CBAM, BatchNorm, ResidualTail, SqueezeExcite

SIZES = {"fixed": [(16, 16), (16, 16)], "unknown": [(16, 16), (12, 20), (16, 16)]}


def network(size):
    inputs = keras.Input((*size, 3))
    x = BatchNorm()(keras.layers.Conv2D(8, 3, padding="same")(inputs))
    x = CBAM(4)(ResidualTail(SqueezeExcite(4))([x, x]))
    x = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    return model


class Count(keras.callbacks.Callback):
    def __init__(self, folder):
        super().__init__()
        self.folder, self.found = folder, []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(len(list(self.folder.glob("*step*before_optimizations.txt"))))

    on_predict_batch_end = on_train_batch_end


def main(folder):
    runs, options = [], {"batch_size": 4, "verbose": 0}
    for kind, sizes in SIZES.items():
        model = network(sizes[0] if kind == "fixed" else (None, None))
        for size in sizes:
            pictures = np.random.default_rng(0).normal(size=(12, *size, 3)).astype("float32")
            fitted, predicted = Count(folder), Count(folder)
            model.fit(pictures, np.arange(12) % 3, epochs=2, callbacks=[fitted], **options)
            model.predict(pictures, callbacks=[predicted], **options)
            runs += [[kind, "fit", size, fitted.found], [kind, "predict", size, predicted.found]]
    print(json.dumps(runs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
