"""Choose the fastest recipe that is accurate enough on the caller's pictures."""

from collections.abc import Callable
from dataclasses import replace

from .bounds import Bounds, Choice
from .file.run import Runner, latencies_ms
from .inputs.images import Images
from .recipe import Recipe
from .result import BoundNotMet, Result

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
    runners = {name: Runner(result.model) for name, result in results.items()}
    latencies = latencies_ms(runners, images.pixels[0], _ROUNDS)
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
