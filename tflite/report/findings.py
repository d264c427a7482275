"""What a reader should know first, and what would mend it."""

from collections import Counter
from dataclasses import dataclass

from ...names import counted
from ..accuracy.layerwise import worst_layers
from .facts import Facts
from .names import decibels
from .recipes import RecipeRow
from .support import MEASURED

GOOD, NOTE, ATTENTION = "good", "note", "attention"
_POOR_SNR_DB = 30.0
_ACCURACY_DROP = 0.005
_AGREEMENT = 0.99
_FEW_IMAGES = 100
_FASTER = 1.3


@dataclass(frozen=True)
class Finding:
    """One sentence about the file.

    Attributes:
        level: "good", "note" or "attention".
        text: what was found.
        cure: what to do about it, or "".
    """

    level: str
    text: str
    cure: str = ""


def findings(facts: Facts) -> tuple[Finding, ...]:
    """The findings, those that need attention first."""
    found = [
        *_accuracy(facts),
        *_snr(facts),
        *_gates(facts),
        *_left_over(facts),
        *_faster(facts),
        *_devices(facts),
        *_evidence(facts),
    ]
    order = (ATTENTION, NOTE, GOOD)
    return tuple(sorted(found, key=lambda finding: order.index(finding.level)))


def _accuracy(facts):
    comparison = facts.comparison
    for warning in comparison.warnings:
        yield Finding(ATTENTION, f"{warning[0].upper()}{warning[1:]}.")
    if comparison.file_accuracy is not None:
        points = 100 * (comparison.file_accuracy - comparison.float_accuracy)
        if points < -100 * _ACCURACY_DROP:
            cure = (
                "quantize_aware, then a few epochs of training; or a recipe below that loses less"
            )
            yield Finding(
                ATTENTION, f"The file loses {-points:.2f} points of top-1 accuracy.", cure
            )
        elif comparison.only_class is None:
            what = "nothing" if points >= 0 else f"{-points:.2f} points"
            yield Finding(GOOD, f"Top-1 accuracy: the file loses {what} against Keras.")
    if comparison.agreement is not None and comparison.agreement < _AGREEMENT:
        differ = len(facts.disagreements)
        yield Finding(
            ATTENTION,
            f"The file gives another class than Keras to {differ} of "
            f"{counted(comparison.images, 'picture')}.",
            "see the layers that lose most; more typical calibration pictures; mixed_int8",
        )


def _snr(facts):
    if facts.comparison.snr_db >= _POOR_SNR_DB:
        return
    worst = worst_layers(facts.layers, 1)
    where = (
        f" Most is lost in one {worst[0].operator}" if worst else " No layer loses 3 dB by itself"
    )
    reason = f": {worst[0].reason}" if worst and worst[0].reason else ""
    yield Finding(
        NOTE,
        f"The {facts.comparison.measured_on} carry {decibels(facts.comparison.snr_db)}, below the "
        f"{_POOR_SNR_DB:.0f} dB usual of int8.{where}{reason}.".replace("..", "."),
        "quantize_aware trains the network for its rounding" if facts.layers else "",
    )


def _gates(facts):
    small = [gate for gate in facts.gates if gate.is_small]
    if small and facts.recipe in ("static_int8", None):
        yield Finding(
            ATTENTION,
            f"Too small for int8's steps of 1/256: {len(small)} of {len(facts.gates)} gates.",
            'recipe="mixed_int8", or gates of hard_sigmoid',
        )
    elif facts.gates and not small:
        yield Finding(GOOD, "Every gate is large enough for int8's steps of 1/256.")


def _left_over(facts):
    xnnpack = facts.devices[0]
    if not xnnpack.problems:
        yield Finding(GOOD, f"XNNPACK runs every operator, in {xnnpack.note}.")
        return
    left = ", ".join(f"{p.count} x {p.operator}" for p in xnnpack.problems)
    cures = dict.fromkeys(problem.cure for problem in xnnpack.problems)
    yield Finding(NOTE, f"XNNPACK leaves {left} to slower kernels.", "; ".join(cures))


def _faster(facts):
    own = next((row for row in facts.recipes if row.is_file), None)
    if own is None:
        return
    others = [row for row in facts.recipes if row.latency_ms and _keeps(row, own)]
    best = min(others, key=lambda row: row.latency_ms, default=own)
    if own.latency_ms > _FASTER * best.latency_ms:
        ratio = own.latency_ms / best.latency_ms
        text = f"Recipe {best.recipe} is {ratio:.1f} times as fast on this machine"
        kept = (
            f"has an SNR of {decibels(best.snr_db)}"
            if best.agreement is None
            else f"agrees with Keras on {best.agreement:.1%} of {facts.recipe_images} pictures"
        )
        yield Finding(NOTE, f"{text} and {kept}.", f'recipe="{best.recipe}"')


def _keeps(row: RecipeRow, own: RecipeRow) -> bool:
    """Whether a recipe's file is near enough to Keras to take the place of the reported one."""
    if row.agreement is not None:
        return row.agreement >= _AGREEMENT
    enough = _POOR_SNR_DB if own.snr_db is None else min(own.snr_db, _POOR_SNR_DB)
    return row.snr_db is not None and row.snr_db >= enough


def _devices(facts):
    refused = [each for each in facts.devices if each.evidence != MEASURED and each.share == 0]
    for each in refused:
        cure = Counter(problem.cure for problem in each.problems).most_common(1)[0][0]
        yield Finding(NOTE, f"{each.device} runs nothing of this file.", cure)


def _evidence(facts):
    comparison = facts.comparison
    if comparison.images < _FEW_IMAGES:
        step = 100 / comparison.images
        yield Finding(
            NOTE,
            f"Measured on {counted(comparison.images, 'picture')}: one more or less is {step:.1f} "
            "points.",
            "some hundred held-out pictures",
        )
    if comparison.agreement is not None and comparison.file_accuracy is None:
        reason = comparison.no_accuracy or "the pictures have no labels"
        text = f"Agreement is known and accuracy is not: {reason}."
        yield Finding(NOTE, text, "one folder per class")
