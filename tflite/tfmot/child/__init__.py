"""Rebuild a model in tf_keras, tune it with TFMOT, hand it back: a program of its own.

    TF_USE_LEGACY_KERAS=1 python -m child FOLDER

FOLDER holds task.json, weights.npz, images.npy, labels.npy and expected.npy, what the model
returns for the first images (see `exchange`). result.json, tuned.npz and, for quantization,
model.tflite are written there, or error.txt. Nothing of keras_se is imported: this process
sees tf_keras alone.
"""
