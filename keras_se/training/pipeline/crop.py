"""Which part of a picture is trained on, and whether mirrored: drawn from seed and step."""

import math

from ..settings import FitSettings

WIDEST = 4 / 3  # of the parts of a random resized crop, and the narrowest is one over that
ATTEMPTS = 10


def crop_at_random(pixels, settings: FitSettings, position):
    """A random part of one picture (h, w, 3) as (s, s, 3); `position` in the run decides.

    Szegedy et al., https://arxiv.org/abs/1409.4842, section 6: 8 to 100 % of the area, evenly,
    aspect ratios from 3/4 to 4/3. As torchvision's RandomResizedCrop, which the authors of timm
    and of the presets' papers use, draws it:
    https://github.com/pytorch/vision/blob/main/torchvision/transforms/transforms.py
    """
    import tensorflow as tf

    size = settings.resolved_size
    seed = tf.stack([tf.cast(settings.seed, "int64"), position])
    top, left, height, width = random_part(tf.shape(pixels)[:2], settings.crop_area, seed)
    part = pixels[top : top + height, left : left + width]
    pixels = tf.image.resize(part, (size, size), antialias=True)
    return tf.ensure_shape(pixels, (size, size, 3))


def random_part(shape, least_area: float, seed):
    """Top, left, height and width of a part of a picture of `shape`, all int32.

    Of ten parts that are drawn the first that fits; where none does, as in a panorama, the
    middle of the picture, as much of it as the aspect ratios allow.
    """
    import tensorflow as tf

    sides = tf.cast(shape, "float32")  # height, width
    drawn = tf.random.stateless_uniform((4, ATTEMPTS), seed)
    area = tf.reduce_prod(sides) * (least_area + (1 - least_area) * drawn[0])
    ratio = tf.exp((2 * drawn[1] - 1) * math.log(WIDEST))  # width / height
    extents = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=1)))
    middle = tf.minimum(sides, tf.round(sides[::-1] * WIDEST))
    fits = tf.reduce_all((extents > 0) & (extents <= sides), axis=1)
    choices = tf.concat([tf.boolean_mask(extents, fits), middle[None]], axis=0)
    places = tf.concat([tf.boolean_mask(tf.transpose(drawn[2:]), fits), [[0.5, 0.5]]], axis=0)
    extent = choices[0]
    corner = places[0] * (sides - extent + 1)
    return tf.unstack(tf.cast(tf.concat([corner, extent], axis=0), "int32"))


def shift_and_flip(images, settings: FitSettings, step, part: slice):
    """A part of a step's batch, (b, s, s, 3), each picture shifted and mirrored by chance.

    Keras' RandomCrop crops a whole batch at one place.
    """
    import tensorflow as tf

    size = settings.resolved_size
    most = size // 8 if settings.crop == "padded" else 0  # 4 of 32, He et al., section 4.2
    seed = tf.stack([tf.cast(settings.seed, "int64"), step])
    shape = (3, settings.batch_size)
    drawn = tf.random.stateless_uniform(shape, seed, maxval=2**31, dtype=tf.int64)[:, part, None]
    if most:
        first = drawn[:2] % (2 * most + 1)
        rows, columns = tf.unstack(first + tf.range(size, dtype=tf.int64))
        images = tf.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
        images = tf.gather(images, rows, axis=1, batch_dims=1)
        images = tf.gather(images, columns, axis=2, batch_dims=1)
    if settings.flip:
        mirrored = drawn[2, :, :, None, None] % 2 == 1
        images = tf.where(mirrored, images[:, :, ::-1], images)
    return images
