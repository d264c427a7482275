"""Quantization to int16 activations, from a float file with the ranges of its tensors."""

from ..file import flatfile


def quantize_int16(calibrated: bytes, io: str) -> bytes:
    """Make a file of int16 activations, int8 weights and int64 biases.

    By TensorFlow's older quantizer: the newer one gives int16 zero points, which no kernel takes
    (TensorFlow 2.21).

    Args:
        calibrated: float .tflite file with the ranges, as `mend_ranges` leaves them.
        io: dtype of input and output, "float32" or "int16".
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import deduplicate_readonly_buffers
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    content = Calibrator(_with_own_buffers(calibrated)).calibrate_and_quantize(
        lambda: (),  # no pictures: the ranges are there
        input_type=tf.as_dtype(io),
        output_type=tf.as_dtype(io),
        allow_float=False,
        activations_type=tf.int16,
        bias_type=tf.int64,
    )
    return deduplicate_readonly_buffers(content)


def _with_own_buffers(content: bytes) -> bytes:
    """A copy in which no two tensors share a buffer.

    The older quantizer writes a tensor's integers where its floats were, and would read them as
    floats for the next tensor: equal kernels of two layers became zeros.
    """
    model, taken = flatfile.unpack(content), set()
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.buffer in taken and model.buffers[tensor.buffer].data is not None:
            copy = type(model.buffers[tensor.buffer])()
            copy.data = model.buffers[tensor.buffer].data
            model.buffers.append(copy)
            tensor.buffer = len(model.buffers) - 1
        taken.add(tensor.buffer)
    return flatfile.pack(model)
