"""The same model by every recipe: time and size beside plain float."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from ..accuracy.outputs import Outputs, run_file
from ..accuracy.scores import share_equal, snr_db, top1
from ..convert import convert
from ..file.run import Runner, latencies_ms
from ..inputs.images import Images
from ..recipe import get_recipe
from ..result import Result
from .nodes import Node

SAMPLE_IMAGES = 64  # of the pictures, for calibration and for the SNR of the recipes


@dataclass(frozen=True)
class RecipeRow:
    """A recipe beside the others.

    Attributes:
        recipe: its name.
        is_file: whether it is the reported file itself, and not converted for the report.
        latency_ms: median on one image, all files taking turns; None where there is no file.
        over_float: the latency over that of float32.
        size_bytes: size of the file.
        snr_db, agreement: as in `Comparison`, on a sample of the pictures.
        problem: why there is no file.
    """

    recipe: str
    is_file: bool = False
    latency_ms: float | None = None
    over_float: float | None = None
    size_bytes: int | None = None
    snr_db: float | None = None
    agreement: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Kernels:
    """The file with or without XNNPACK.

    Attributes:
        name: "XNNPACK" or "built-in kernels".
        latency_ms: median on one image.
        partitions: subgraphs that XNNPACK runs.
        delegated: operators in them.
    """

    name: str
    latency_ms: float
    partitions: int
    delegated: int


def convert_by_all(
    model: keras.Model, recipes: Sequence[str], images: Images, **options
) -> tuple[dict[str, Result], dict[str, str]]:
    """Files by recipe, and why there is none by recipe; calibrated on some of the images."""
    some = sample(images)
    files, problems = {}, {}
    for recipe in recipes:
        try:
            files[recipe] = convert(model, recipe, some, **options)
        except RuntimeError as error:
            problems[recipe] = str(error)
    return files, problems


def time_all(
    content: bytes, files: Mapping[str, bytes], image: np.ndarray, runs: int, num_threads: int
) -> tuple[float, float, dict[str, float]]:
    """Latencies in ms: of the file with XNNPACK, without, and of the other files by name."""
    runners = {name: Runner(other, num_threads) for name, other in files.items()}
    runners["with"] = Runner(content, num_threads)
    runners["without"] = Runner(content, num_threads, xnnpack=False)
    times = latencies_ms(runners, image, runs)
    return times.pop("with"), times.pop("without"), times


def rows(
    files: Mapping[str, bytes],
    latencies: Mapping[str, float],
    problems: Mapping[str, str],
    own: str | None,
    outputs: Outputs,
    images: Images,
    order: Sequence[str],
) -> tuple[RecipeRow, ...]:
    """One row for each recipe, compared with Keras on a sample of the pictures."""
    places = sample_places(len(images))
    some, answers = sample(images), top1(outputs.keras_scores)
    answers = None if answers is None else answers[places]
    table = []
    for recipe in order:
        if recipe in problems:
            table.append(RecipeRow(recipe, problem=problems[recipe]))
            continue
        got, values = run_file(files[recipe], some, outputs.measured_on == "logits")
        table.append(
            RecipeRow(
                recipe=recipe,
                is_file=recipe == own,
                latency_ms=latencies[recipe],
                over_float=latencies[recipe] / latencies["float32"],
                size_bytes=len(files[recipe]),
                snr_db=snr_db(outputs.keras_values[places], values),
                agreement=share_equal(top1(outputs.scores(got)), answers),
            )
        )
    return tuple(table)


def recipe_of(nodes: Sequence[Node]) -> str | None:
    """The recipe that a file looks like it was made with; None for one that is none of ours."""
    heavy = [node for node in nodes if node.name in ("CONV_2D", "FULLY_CONNECTED")]
    values = {(node.inputs[0].dtype, node.inputs[1].dtype) for node in heavy}
    floats = any(tensor.dtype == "float32" for node in nodes for tensor in node.outputs)
    halves = any(tensor.dtype == "float16" for node in nodes for tensor in node.inputs)
    if values == {("int16", "int8")}:
        return "static_int16x8"
    if values == {("int8", "int8")}:
        gates = any(
            node.name == "LOGISTIC" and node.outputs[0].dtype == "float32" for node in nodes
        )
        return "mixed_int8" if gates else "static_int8"
    if not floats or not values:
        return None
    if values == {("float32", "float32")}:
        return "float16" if halves else "float32"
    return "dynamic_int8" if {left for left, _ in values} == {"float32"} else None


def check_recipes(recipes: Sequence[str]) -> tuple[str, ...]:
    """The names, float32 first, since the others are measured beside it.

    Raises:
        ValueError, TypeError: for a name that is not in `RECIPES`.
    """
    if isinstance(recipes, str):
        raise TypeError(f"recipes is a sequence of names. Received: recipes={recipes!r}")
    names = [get_recipe(recipe).name for recipe in recipes]
    return tuple(dict.fromkeys(["float32", *names]))


def sample(images: Images) -> Images:
    """At most 64 of the images, spread evenly; without labels."""
    return Images(images.pixels[sample_places(len(images))])


def sample_places(total: int, count: int = SAMPLE_IMAGES) -> np.ndarray:
    """Indices of at most `count` of `total`, spread evenly.

    >>> sample_places(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
