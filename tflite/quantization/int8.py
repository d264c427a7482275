"""Quantization to int8, from a float file with the ranges of its tensors."""

from ..accuracy.gates import fit_gate_scales, gate_names
from ..accuracy.outputs import run_file
from ..accuracy.scores import snr_db
from ..inputs.images import Images
from ..recipe import Recipe
from .finish import finish
from .saturation import clip_logits

_MOST_IMAGES = 32


def quantize_int8(
    calibrated: bytes, recipe: Recipe, io: str, images: Images
) -> tuple[bytes, bytes]:
    """Make a file of int8 activations and weights; of two that can be made, the better one.

    Where narrower ranges promise to keep more of some gates (`clip_logits`), both files are run
    on the images, and the narrower ranges are taken if the output gains by them.

    Args:
        calibrated: float .tflite file with the ranges, as `mend_ranges` leaves them.
        recipe: of int8 activations.
        io: dtype of input and output.
        images: those that calibrated it; both files are run on at most 32 of them.

    Returns:
        The file, and the float file with the ranges that it has.
    """
    content, clipped = _quantize(calibrated, recipe, io), clip_logits(calibrated, images)
    if clipped is None:
        return content, calibrated
    other = _quantize(clipped, recipe, io)
    some = Images(images.pixels[:_MOST_IMAGES])
    reference, *values = (run_file(f, some, logits=True)[1] for f in (calibrated, content, other))
    before, after = (snr_db(reference, value) for value in values)
    return (other, clipped) if after > before else (content, calibrated)


def _quantize(calibrated: bytes, recipe: Recipe, io: str) -> bytes:
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    dtype = tf.as_dtype(io)
    gates = set(gate_names(calibrated)) if recipe.float_gates else set()
    content = mlir_quantize(
        calibrated, input_data_type=dtype, output_data_type=dtype, denylisted_nodes=gates or None
    )
    if gates:
        content = fit_gate_scales(content, calibrated)
    return finish(content)
