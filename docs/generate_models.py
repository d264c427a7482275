"""Writes docs/models.md from the tables of the networks and of their weights.

python docs/generate_models.py
"""

import inspect
import re
from pathlib import Path

from keras_se.applications.construction.choices import customise
from keras_se.applications.registry import FAMILIES
from keras_se.applications.weights.table import WEIGHTS, published_weights

PAGE = Path(__file__).with_name("models.md")

INTRODUCTION = f"""\
# Models

Made by `docs/generate_models.py`. Parameters are the trainable ones; GMACs are 1e9
multiply-accumulates of convolutions and dense layers, for one picture of the given side in
pixels. The first variant of a network is its default.

{len(WEIGHTS)} checkpoints are published. `weights="imagenet"` takes the first one of a variant,
and a name in the column `weights` takes that one. Where the column says `imagenet-trunk`, pass
that name: it is the trunk of keras.applications, and a network with gates needs `gate="sigmoid2"`
with it, so that they start as the identity. Networks without published weights start from random
ones.

Top-1 is in percent of ImageNet's 50,000 validation pictures, as the publishers measured it. It
was not measured again here; what was checked is that with the same weights eight of these
networks give the logits of the publishers' code (`tests/test_parity.py`). With ImageNet at hand,
`keras_se.applications.evaluate` measures top-1 with the side, crop and filter in the table.
[Weights](weights.md) says how the files are fetched and checked.
"""

NONE = "-"
COLUMNS = (
    "model", "variant", "side", "parameters", "GMACs", "weights", "top-1", "at side, crop, filter",
    "recipe", "licence",
)  # fmt: skip


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([INTRODUCTION, *map(_section, FAMILIES)])


def _section(family) -> str:
    title, _, text = inspect.getdoc(family).partition("\n")
    references = re.search(r"References:\n((?:    .+\n?)+)", text)
    lines = re.sub(r"\s+(?=\()", " ", references[1]).splitlines() if references else []
    papers = "\n".join(f"- {line.strip()}" for line in lines)
    rows = [row for value in _constructors(family) for row in _rows(value)]
    table = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    body = "\n".join(f"| {' | '.join(row)} |" for row in table)
    return f"## {title.partition(':')[0].rstrip('.')}\n\n{papers}\n\n{body}\n"


def _constructors(family):
    return list(dict.fromkeys(v for v in vars(family).values() if getattr(v, "spec", None)))


def _rows(constructor):
    spec = constructor.spec
    for variant, figures in spec.variants.items():
        facts = [f"`{constructor.__name__}`", variant, str(spec.size), f"{figures.parameters:,}",
                 f"{figures.gmacs:.4f}"]  # fmt: skip
        for weights in published_weights(spec.name, variant):
            test = f"{weights.size}, {weights.crop}, {weights.interpolation}"
            top1 = f"{weights.top1:.3f}"
            yield [*facts, f"`{weights.tag}`", top1, test, weights.recipe, weights.licence]
            facts = [""] * len(facts)
        if facts[0]:
            trunk = customise(spec, variant).imagenet_trunk is not None
            none = [NONE] * (len(COLUMNS) - len(facts) - 1)
            yield [*facts, "`imagenet-trunk`" if trunk else NONE, *none]


if __name__ == "__main__":
    PAGE.write_text(page())
