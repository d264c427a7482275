r"""One training step of a network with attention over the same network without.

Command:  python benchmarks/training.py
          python benchmarks/training.py --models ResNet50 SEResNet50 --batch 256 --size 224 \
              --precision mixed_bfloat16 --jit on                    # a GPU
          KERAS_BACKEND=jax python benchmarks/training.py --jit on
          python benchmarks/training.py --models sums.SEResNet50 SEResNet50  # no XLA: with kernel?
          python benchmarks/training.py --models SEResNet50 xla.SEResNet50   # XLA off and on
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     10 minutes; --models SEResNetCIFAR --batch 8 --size 32 --steps 3 a minute
Expected: SE-ResNet-50 takes 1.00 of ResNet-50's step with XLA, 1.09 without, 1.05 on JAX (Hu et
          al. report 1.10)

All networks are built in one process and take turns, step by step; the table gives the
median step, its ratio to the first network of the list and to keras.applications'
ResNet50, and images per second. On the JAX backend it also gives the bytes that XLA
counts for one step. `sums.X` computes BatchNorm by sums where X takes TensorFlow's kernel;
`bf16.X` is X in mixed_bfloat16, `xla.X` is X with XLA, whatever --jit says. `X@variant=keras` or
`X@conv=sk,depth=20` passes X options, the first for the strides of keras.applications (5 % fewer
multiplications than v1.5).
"""

import argparse
import os
import platform
import resource
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from keras_se import applications
from keras_se.layers import BatchNorm, ResidualTail

REFERENCE = "keras.ResNet50"
MODELS = ["ResNet50", "SEResNet50", REFERENCE]
PAPER = "Hu et al.: SEResNet50 1.10 over ResNet50 (209 ms over 190 ms, 256 pictures on 8 GPUs)"


def build(name, size, jit, fused):
    """A compiled network, named as the module says."""
    network, _, options = name.partition("@")
    kind, _, constructor = network.rpartition(".")
    family = keras.applications if kind == "keras" else applications
    precision = keras.config.dtype_policy()
    if kind == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    values = dict(pair.split("=") for pair in options.split(",")) if options else {}
    values = {key: int(value) if value.isdigit() else value for key, value in values.items()}
    shape = (size, size, 3)
    model = getattr(family, constructor)(weights=None, input_shape=shape, classes=1000, **values)
    keras.config.set_dtype_policy(precision)
    if not fused:
        for layer in model.layers:
            if isinstance(layer, ResidualTail):
                layer.fused = False
    if kind == "sums":
        for layer in model._flatten_layers():
            if isinstance(layer, BatchNorm):
                layer.uses_kernel = lambda *_: False
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=True if kind == "xla" else jit,
    )
    return model


def time_steps(models, images, labels, steps, inference):
    """Seconds of every step, the models taking turns: {name: [seconds]}."""

    def step(model):
        if inference:
            model.predict_on_batch(images)
        else:
            model.train_on_batch(images, labels)

    for model in models.values():
        for _ in range(2):
            step(model)
    times = {name: [] for name in models}
    for _ in range(steps):
        for name, model in models.items():
            start = time.perf_counter()
            step(model)
            times[name].append(time.perf_counter() - start)
    return times


def bytes_of_step(model, images, labels):
    """Bytes that XLA counts for forward and backward pass (JAX only)."""
    import jax

    def loss(trainable, fixed):
        outputs, updated = model.stateless_call(trainable, fixed, images, training=True)
        return model.compute_loss(images, labels, outputs), updated

    state = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*state).compile()
    return compiled.cost_analysis()["bytes accessed"]


def peak_memory():
    """Where memory was used, and the most bytes there: of a GPU, or else of the process."""
    if keras.backend.backend() == "jax":
        import jax

        of_device = jax.devices()[0].memory_stats() or {}  # none of a CPU
        if "peak_bytes_in_use" in of_device:
            return "the first device", of_device["peak_bytes_in_use"]
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return "the first GPU", tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return "the process", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--jit", choices=["on", "off", "auto"], default="auto")
    parser.add_argument("--inference", action="store_true", help="predict instead of training")
    parser.add_argument("--not-fused", action="store_true", help="textbook tails")
    arguments = parser.parse_args()

    keras.config.set_dtype_policy(arguments.precision)
    jit = {"on": True, "off": False, "auto": "auto"}[arguments.jit]
    names = dict.fromkeys([*arguments.models, REFERENCE])
    models = {name: build(name, arguments.size, jit, not arguments.not_fused) for name in names}
    random = np.random.default_rng(0)
    shape = (arguments.batch, arguments.size, arguments.size, 3)
    images = keras.ops.convert_to_tensor(random.normal(size=shape).astype("float32"))
    labels = keras.ops.convert_to_tensor(random.integers(0, 1000, arguments.batch))

    times = time_steps(models, images, labels, arguments.steps, arguments.inference)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, backend {keras.backend.backend()}, "
        f"Keras {keras.__version__}, batch {arguments.batch}, {arguments.size} pixels, "
        f"{arguments.precision}, jit {arguments.jit}, fused {not arguments.not_fused}, "
        f"{'inference' if arguments.inference else 'training'}, "
        f"median of {arguments.steps}"
    )
    first = arguments.models[0]
    width = max(map(len, names)) + 6
    row = f"{{:{width}}}{{:>9}}{{:>{width}}}{{:>22}}{{:>11}}{{:>9}}"
    print(row.format("", "ms", f"over {first}", f"over {REFERENCE}", "images/s", "MB"))
    for name, seconds in median.items():
        megabytes = ""
        if keras.backend.backend() == "jax":
            megabytes = f"{bytes_of_step(models[name], images, labels) / 1e6:.0f}"
        ratios = (f"{seconds / median[other]:.3f}" for other in (first, REFERENCE))
        speed = f"{arguments.batch / seconds:.1f}"
        print(row.format(name, f"{1e3 * seconds:.1f}", *ratios, speed, megabytes))
    if not arguments.inference:
        print(PAPER)
    where, peak_bytes = peak_memory()
    print(f"peak memory of {where}, all networks together: {peak_bytes / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
