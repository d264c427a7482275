"""Choose the fastest recipe that is accurate enough on the caller's pictures."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bounds import Bounds, Choice
from .images import Images
from .recipe import Recipe
from .result import BoundNotMet, Result
from .run import Runner

# Without static_int16x8: no operator of it is delegated, it is ten times slower than float.
CANDIDATES = ("static_int8", "mixed_int8", "dynamic_int8", "float16", "float32")
_ROUNDS = 25
_TIE = 1.05  # latencies this close are equal; the recipe that is named first wins


def choose(
    convert_by: Callable[[Recipe], Result], recipes: list[Recipe], bounds: Bounds, images: Images
) -> Result:
    """Convert with every candidate and take the fastest file that keeps the bounds.

    Args:
        convert_by: makes the `Result` of a recipe, or raises RuntimeError.
        recipes: the candidates; of two that are equally fast, the earlier one is taken.
        bounds: what the file must keep.
        images: the caller's; the first one is what the latency is measured on.

    Returns:
        The chosen `Result`; its report's `choices` is the table.

    Raises:
        BoundNotMet: when no file keeps the bounds.
        RuntimeError: when no recipe gives a file.
    """
    results, choices = {}, {}
    names = [recipe.name for recipe in recipes]
    for recipe in recipes:
        name = recipe.name
        try:
            results[name] = convert_by(recipe)
        except RuntimeError as error:
            choices[name] = Choice(name, problem=f"no file: {error}")
    if not results:
        raise RuntimeError("No recipe gives a file: " + "; ".join(map(str, choices.values())))
    latencies = _latencies_ms({n: r.model for n, r in results.items()}, images.pixels[0])
    for name, result in results.items():
        comparison = result.report.comparison
        choices[name] = Choice(
            name,
            latencies[name],
            comparison.size_bytes,
            comparison.snr_db,
            comparison.agreement,
            comparison.file_accuracy,
            bounds.violation(comparison),
        )
    eligible = [name for name in names if choices[name].problem is None]
    if not eligible:
        best = max(results.values(), key=lambda result: result.report.comparison.snr_db)
        rows = "\n".join(str(choices[name]) for name in names)
        raise BoundNotMet(f"No recipe keeps {bounds}:\n{rows}", best)
    fastest = min(latencies[name] for name in eligible)
    chosen = next(name for name in eligible if latencies[name] <= _TIE * fastest)
    table = tuple(replace(choices[name], chosen=name == chosen) for name in names)
    report = replace(results[chosen].report, choices=table)
    return replace(results[chosen], report=report)


def _latencies_ms(files: dict[str, bytes], image: np.ndarray) -> dict[str, float]:
    """Median times of the files, which take turns, so that a busy machine slows all alike."""
    runners = {name: Runner(content) for name, content in files.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for runner in runners.values():
        runner.set_input(image)
        runner.interpreter.invoke()
    for _ in range(_ROUNDS):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.interpreter.invoke()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values) * 1e3) for name, values in times.items()}
