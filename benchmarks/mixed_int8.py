"""Our int8 files beside those of Google's AI Edge Quantizer: the same float graph and pictures.

Command:  pip install "keras-se[aeq]"
          python benchmarks/mixed_int8.py --pictures DIR [--test 1000] [NAME ...]
Machine:  any; the figures of docs/decisions.md are from 2 shared x86-64 cores, AMD EPYC
Cost:     15 minutes beside a training on the same cores
Expected: files that are calibrated alike are alike: of gates of 0.018 ("SE chain -4") static ones
          keep 15 dB, mixed_int8 and a LOGISTIC in float 30

DIR has one folder of pictures per class. SNR and agreement are those of the logits with Keras' on
the test pictures; latencies are over static_int8's, all files taking turns. `trained` is
benchmarks/checkpoints/se_resnet20_cifar10_80, the others are networks of benchmarks/gates.py, with
random weights and gates of 0.0003 or 0.018. The quantizer is calibrated by minimum and maximum, as
our files are, and not by its moving average, which clips. Its recipes keep in float: nothing, the
gates' LOGISTIC, or the gates' convolutions too. `--smoke` runs all of it on noise.
"""

import argparse
import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_quantizer import algorithm_manager, calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
from gates import NETWORKS, Normalize, chain, settle, with_bias

from keras_se.layers import SqueezeExcite
from keras_se.tflite import RECIPES, Images, Lowering, Runner, load_images, lower
from keras_se.tflite.accuracy import gates
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.converter import convert_file
from keras_se.tflite.file import flatfile
from keras_se.tflite.file.run import latencies_ms
from keras_se.tflite.passes import apply_passes

SIZE, CALIBRATION = 32, 128
CHECKPOINT = Path(__file__).parent / "checkpoints/se_resnet20_cifar10_80/model.keras"
SMALL = {
    "SE-ResNet-8 -8": NETWORKS["SE-ResNet-8 -8"],  # gates of 0.0003
    "SE chain -4": lambda: with_bias(chain(lambda: SqueezeExcite(ratio=4)), -4.0),  # 0.018
    "SE chain -8": NETWORKS["SE chain -8"],
}
_EVERY = qtyping.TFLOperationName.ALL_SUPPORTED
_PLAIN = algorithm_manager.AlgorithmName.NO_QUANTIZE


def gate_operators(content: bytes) -> tuple[list[str], list[str]]:
    """Names of what the gates' LOGISTIC make, and of what all operators of the gates make."""
    model = flatfile.unpack(content)
    graph = model.subgraphs[0]
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    sigmoids, all_of_them = [], []
    for operator in gates.find_gates(model):
        sigmoids.append(flatfile.tensor_name(graph.tensors[operator.outputs[0]]))
        while tuple(graph.tensors[operator.outputs[0]].shape[1:3]) == (1, 1):
            all_of_them.append(flatfile.tensor_name(graph.tensors[operator.outputs[0]]))
            operator = makers[operator.inputs[0]]
    return sigmoids, all_of_them


def widen_dead(ranges: dict) -> int:
    """Give tensors that were always zero a range, in place, as `convert` does; returns how many."""
    count = 0
    for seen in ranges.values():
        if seen and "min" in seen and not np.any(seen["min"]) and not np.any(seen["max"]):
            seen["max"] = np.ones_like(seen["max"])
            count += 1
    return count


def quantized_by_aeq(content: bytes, pictures: np.ndarray, in_float: list[str]) -> bytes:
    """A float file quantized statically, but for the operators that make these tensors.

    Each recipe observes for itself: a LOGISTIC that it quantizes has the range of int8's kernel.
    """
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _EVERY, activation_num_bits=8, weight_num_bits=8)
    for name in in_float:
        recipe.add_quantization_config(re.escape(name), _EVERY, algorithm_key=_PLAIN)
    observer = calibrator.Calibrator(
        content, num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    inputs = [{"image": picture[None].astype("float32")} for picture in pictures]
    observer.calibrate({"serving_default": inputs}, recipe)
    ranges = observer.get_model_qsvs()
    if dead := widen_dead(ranges):
        print(f"  {dead} tensors were always zero: given [0, 1], or XNNPACK refuses AEQ's file")
    tool = quantizer.Quantizer(bytearray(content), recipe.get_quantization_recipe())
    return bytes(tool.quantize(ranges, enable_progress_report=False).quantized_model)


def files_of(model: keras.Model, preprocess, pictures: np.ndarray) -> dict[str, bytes]:
    """Five int8 files of one float graph, logits out."""
    lowered = lower(model, preprocess, logits=True)
    static = RECIPES["static_int8"]
    primitive = apply_passes(lowered, Lowering(), static)
    made = {
        name: convert_file(primitive, RECIPES[name], "int8", Images(pictures), True)[0]
        for name in ("static_int8", "mixed_int8")
    }
    plain = convert_file(primitive, RECIPES["float32"], "float32", None, True)[0]
    sigmoids, whole = gate_operators(plain)
    kept = {"static": [], "LOGISTIC in float": sigmoids, "gates in float": whole}
    return made | {
        f"AEQ, {name}": quantized_by_aeq(plain, pictures, tensors) for name, tensors in kept.items()
    }


def measure(files: dict[str, bytes], reference: np.ndarray, test: Images) -> None:
    """Print a line for each file."""
    runners = {name: Runner(content) for name, content in files.items()}
    times = latencies_ms(runners, test.pixels[0], runs=200)
    for name, runner in runners.items():
        logits = np.concatenate([runner(picture)[0] for picture in test.pixels])
        same = (logits.argmax(1) == reference.argmax(1)).mean()
        right = "" if test.labels is None else f"{(logits.argmax(1) == test.labels).mean():.2%}"
        print(
            f"  {name:<24}{snr_db(reference, logits):8.1f} dB{same:9.2%} same{right:>9}"
            f"{len(files[name]):10,} bytes{operators(files[name]):5d} operators"
            f"{times[name] / times['static_int8']:7.2f} x",
            flush=True,
        )


def operators(content: bytes) -> int:
    return len(flatfile.unpack(content).subgraphs[0].operators)


def pictures_of(arguments) -> tuple[np.ndarray, Images]:
    """Pictures for the calibration, and others, with labels, for the test; evenly by class."""
    if arguments.smoke:
        noise = np.random.default_rng(0).integers(0, 256, (16, SIZE, SIZE, 3), "uint8")
        return noise[:8], Images(noise[8:])
    found = load_images(arguments.pictures, (SIZE, SIZE, 3), raw_pixels=True)
    order = np.random.default_rng(0).permutation(len(found))
    first, rest = order[:CALIBRATION], order[CALIBRATION:][: arguments.test]
    return found.pixels[first], Images(found.pixels[rest], found.labels[rest])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("trained", *SMALL)
    parser.add_argument("networks", nargs="*", metavar="NAME", help=f"of {list(names)}")
    parser.add_argument("--pictures", metavar="DIR", help="one folder per class")
    parser.add_argument("--test", type=int, default=1000, help="pictures (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="noise in place of pictures")
    arguments = parser.parse_args()
    if not arguments.smoke and arguments.pictures is None:
        parser.error("--pictures or --smoke is needed")
    calibration, test = pictures_of(arguments)
    for name in arguments.networks or names:
        keras.utils.set_random_seed(0)
        trained = name == "trained"
        model = keras.saving.load_model(CHECKPOINT) if trained else SMALL[name]()
        preprocess = getattr(model, "preprocess", Normalize())
        if not trained:
            settle(model, preprocess(calibration[:64]))
        whole = lower(model, preprocess, logits=True, batch_size=None)
        reference = whole.predict(test.pixels.astype("float32"), batch_size=100, verbose=0)
        print(name, flush=True)
        shown = test if trained else Images(test.pixels)
        measure(files_of(model, preprocess, calibration), reference, shown)


if __name__ == "__main__":
    main()
