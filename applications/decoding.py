"""From a network's answer to class names."""

import keras

from .weights.download import DownloadError, keras_directory


def decode_predictions(preds, top: int = 5):
    """Name the most probable ImageNet classes.

    Args:
        preds: (batch, 1000) array of probabilities.
        top: int, how many classes to name.

    Returns:
        For each picture a list of (WordNet id, class name, probability), best first.

    Raises:
        ValueError: if `preds` is not (batch, 1000).
        DownloadError: if the file of names, which Keras fetches once, is not in its cache and
            cannot be fetched.
    """
    preds = keras.ops.convert_to_numpy(preds)
    try:
        return keras.applications.imagenet_utils.decode_predictions(preds, top=top)
    except ValueError:
        raise
    except Exception as error:  # Keras raises no other class
        raise DownloadError(
            f"The names of ImageNet's classes are not at hand: {error}. Fetch that file by hand, "
            f"on any machine, and save it as "
            f"{keras_directory() / 'models' / 'imagenet_class_index.json'}"
        ) from error
