"""One process of tests/test_distributed.py: PLACE SETTINGS.json WEIGHTS.npz [JOIN.json].

PLACE is "alone", "devices" (two of them share the batches) or "rank" (see JOIN.json).
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from keras_se.training import FitSettings, fit
from keras_se.training.distributed import join


def main(place, settings, weights, group=None):
    values = json.loads(Path(settings).read_text())
    if place == "rank":
        join(**json.loads(Path(group).read_text()))
    elif keras.backend.backend() == "tensorflow" and place == "devices":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    history = fit(FitSettings(**values | {"devices": 2 if place == "devices" else 1}))
    arrays = {w.path: keras.ops.convert_to_numpy(w) for w in history.model.weights}
    logs = {
        name: history.history[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")
    }
    np.savez(weights, **arrays, **{f"log {name}": values for name, values in logs.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
