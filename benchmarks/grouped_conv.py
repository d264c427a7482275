"""A grouped convolution's training step on a CPU: keras.layers.Conv2D against GroupedConv2D.

Command:  python benchmarks/grouped_conv.py
Machine:  2 shared cores of an AMD EPYC, TensorFlow 2.21, Keras 3.15
Cost:     50 to 100 s, nearly all of it in keras.layers.Conv2D
Expected: a ratio of at least 80 for a training step; measured 287 (3803 ms / 13.2 ms), with
          jit_compile 181 (3791 / 21.0); forward alone 7 (39 / 5.4), jit 6 (43 / 7.6).
          A training step by chunk of 16, 32, 64, 128 channels: 13.2, 18.1, 30.8, 54.2 ms;
          with jit_compile 21.0, 24.6, 39.4, 60.7. So CHUNK is 16.

One step is the value and the gradients with respect to input and kernel of
Conv2D(128, 3, groups=32) on a 16x28x28x128 batch; both layers have the same weights and
run in one process. The chunk is the number of channels in one of GroupedConv2D's dense
convolutions: the rounds are interleaved, so that a busy machine slows all of them alike.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from keras_se.layers import GroupedConv2D, grouped_conv

FILTERS, GROUPS, PICTURES, SIZE = 128, 32, 16, 28
CHUNKS = (16, 32, 64, 128)


def compiled(layer, weights, images, *, training: bool, jit: bool):
    """A function of no arguments that runs the layer on the images and waits for the result."""
    layer.build(images.shape)
    layer.set_weights(weights)

    @tf.function(jit_compile=jit)
    def forward():
        return tf.reduce_sum(layer(images) ** 2)

    @tf.function(jit_compile=jit)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(layer(images) ** 2)
        return loss, tape.gradient(loss, [images, layer.kernel.value])

    run = step if training else forward
    return lambda: [result.numpy() for result in tf.nest.flatten(run())]


def median_ms(runs: dict, rounds: int) -> dict:
    """Median time of each function in ms, interleaved, after one call that compiles it."""
    for run in runs.values():
        run()
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(times) for name, times in seconds.items()}


def chunked(chunk, weights, images, **how):
    """A compiled GroupedConv2D with `chunk` channels per dense convolution."""
    original, grouped_conv.CHUNK = grouped_conv.CHUNK, chunk
    run = compiled(
        GroupedConv2D(FILTERS, 3, padding="same", groups=GROUPS, use_bias=False),
        weights,
        images,
        **how,
    )
    run()  # traced while CHUNK has this value
    grouped_conv.CHUNK = original
    return run


def main():
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(PICTURES, SIZE, SIZE, FILTERS)), "float32")
    weights = [rng.normal(size=(3, 3, FILTERS // GROUPS, FILTERS), scale=0.1).astype("float32")]
    print(f"Conv2D({FILTERS}, 3, groups={GROUPS}) on {images.shape}, median in ms")
    print(f"{'':20}{'Conv2D':>10}{'Grouped':>10}{'ratio':>8}   by chunk of {CHUNKS}")
    for training in (True, False):
        for jit in (False, True):
            how = {"training": training, "jit": jit}
            chunks = median_ms({c: chunked(c, weights, images, **how) for c in CHUNKS}, 15)
            native = keras.layers.Conv2D(FILTERS, 3, padding="same", groups=GROUPS, use_bias=False)
            plain = median_ms({0: compiled(native, weights, images, **how)}, 3)[0]
            ours = chunks[grouped_conv.CHUNK]
            label = f"{'training step' if training else 'forward'}{', jit' if jit else ''}"
            print(
                f"{label:20}{plain:10.1f}{ours:10.1f}{plain / ours:8.1f}   "
                + "  ".join(f"{time_ms:.1f}" for time_ms in chunks.values()),
                flush=True,
            )


if __name__ == "__main__":
    main()
