"""Training on several devices and machines, by the engines that Keras has.

One machine, several GPUs, one process: `--devices 4` (0: all), or
`FitSettings(..., devices=4)`. TensorFlow's MirroredStrategy or, on Keras' JAX backend,
`keras.distribution.DataParallel` share every batch among them.

One machine, several processes, each with a GPU of its own: `keras-se train --processes 4`, or
`launch(settings, processes=4)`. The processes are new ones, on the JAX backend.

Several machines: on each of them

    keras-se train --coordinator HOST:PORT --rank R --world N ...

with the address of rank 0's machine, a rank R from 0 to N - 1, and the same settings and
pictures (`--data` may lie elsewhere on each). In a program of one's own, with any network:

    from keras_se.training.distributed import join     # KERAS_BACKEND=jax
    join("10.0.0.1:4000", rank=0, world=2)              # before a layer is built
    fit(settings)                                       # or model.fit, on one's own shards

What is the same as on one device:
    - `batch_size` is that of all devices together, and has to be a multiple of their number.
      A step takes the pictures that it would take on one device, with the same crops,
      mirrorings and RandAugment; every process reads its own part of them.
    - BatchNorm is synchronised: its statistics are those of the whole batch. On JAX they are
      so by nature, since a step is one program over all devices; for TensorFlow `fit` sets
      Keras' `synchronized`, for as long as it trains.
    - Dropout (on JAX), gradients, clipping, the moving average and the learning rate.
    So the weights at the end are those of one device, but for rounding. Colour jitter, MixUp
    and CutMix draw per process, and mix within a process's part of a batch: with several
    processes they give another run of the same recipe, and so does dropout on several devices
    of TensorFlow.

Rank 0 writes all files, and says what there is to resume from; the others need no access to its
`output`. When a process dies, the others end: at once under `launch`, after up to 45 seconds
on other machines; the error names it, and the same command resumes from the last checkpoint.
The addresses and the pictures are not protected in any way: use a private network.
"""

from .group import Group
from .join import join
from .launch import ProcessDiedError, launch, launch_one

__all__ = ["Group", "ProcessDiedError", "join", "launch", "launch_one"]
