"""The two ways through tf2onnx: from a lowered Keras model, from a .tflite file."""

import functools
import tempfile
from pathlib import Path

import keras


def export_keras(lowered: keras.Model, opset: int, nchw: bool):
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    for layer in lowered.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
            layer.convolution_op = functools.partial(_grouped_convolution, layer)
    signature = tf.TensorSpec(lowered.inputs[0].shape, tf.float32, name="image")
    function = tf.function(lambda image: lowered(image, training=False))
    # Frozen here: tf2onnx would make an input of every captured constant (Normalization's).
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(signature))
    (image,), (output,) = frozen.inputs, frozen.outputs
    proto, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name=lowered.name,
        input_names=[image.name],
        output_names=[output.name],
        opset=opset,
        inputs_as_nchw=[image.name] if nchw else None,
        custom_rewriter=[_scalars_as_vectors, _without_erfc],
        tensors_to_rename={image.name: "image", output.name: "output"},
    )
    return proto


def _grouped_convolution(layer, inputs, kernel):
    """Keras compiles a grouped convolution with XLA, which tf2onnx cannot read."""
    import tensorflow as tf

    padding, strides, dilations = layer.padding.upper(), layer.strides, layer.dilation_rate
    return tf.nn.convolution(inputs, kernel, strides, padding, dilations=dilations)


def _scalars_as_vectors(graph, operations):
    """Write a scalar summand as a vector of one.

    tf2onnx 1.17 takes it for a bias when it moves transpositions, fails on its empty shape and
    leaves all of them in the file: 106 in MobileNetV3Small, whose hard sigmoids add 3.
    """
    for node in operations:
        if node.type not in ("Add", "AddV2"):
            continue
        for index, summand in enumerate(node.inputs):
            if not summand.is_const() or not graph.get_rank(node.input[1 - index]):
                continue
            value = summand.get_tensor_value(as_list=False)
            if value.shape == ():
                vector = graph.make_const(f"{node.name}_summand_{index}", value.reshape(1))
                graph.replace_input(node, node.input[index], vector.output[0], index)
    return graph.get_nodes()


def _without_erfc(graph, operations):
    """Write erfc(x), in TensorFlow's exact gelu, as 1 - erf(x): ONNX has the latter alone."""
    import numpy as np

    for node in operations:
        if node.type == "Erfc":
            erf = graph.make_node("Erf", node.input, name=f"{node.name}_erf")
            one = graph.make_const(f"{node.name}_one", np.ones(1, "float32"))
            difference = graph.make_node("Sub", [one.output[0], erf.output[0]])
            graph.replace_all_inputs(node.output[0], difference.output[0])
            graph.remove_node(node.name)
    return graph.get_nodes()


def export_tflite(content: bytes, input_name: str, opset: int, nchw: bool):
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        proto, _ = tf2onnx.convert.from_tflite(
            str(path), opset=opset, inputs_as_nchw=[input_name] if nchw else None
        )
    return proto
