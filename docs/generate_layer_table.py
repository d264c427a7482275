"""Write the table in docs/layers/index.md: what each layer costs.

    python docs/generate_layer_table.py

Each layer is converted to int8 by itself; on two CPU cores about a minute.
"""

import math
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import keras_se
from keras_se import tflite

PAGE = Path(__file__).parent / "layers" / "index.md"
START, END = "<!-- table -->\n", "<!-- end of table -->"
SHAPE = (28, 28, 256)
HEAD = """\
| name | layer | parameters | operators | XNNPACK runs | SNR |
| --- | --- | ---: | ---: | --- | ---: |
"""
PAGES = {
    "se": "squeeze-excite",
    "cbam": "cbam",
    "channel": "cbam",
    "spatial": "cbam",
    "eca": "eca",
    "ese": "effective-squeeze-excite",
    "sse": "concurrent-squeeze-excite",
    "scse": "concurrent-squeeze-excite",
    "ge": "gather-excite",
    "gc": "global-context",
    "coord": "coordinate-attention",
    "bam": "bam",
    "sk": "selective-kernel",
}


def make(name: str) -> keras.layers.Layer:
    """The layer called `name`, with its default options."""
    if name in keras_se.layers.CONVS:
        return keras_se.layers.CONVS[name](SHAPE[-1])
    return keras_se.layers.GATES[name]()


def parameters(name: str) -> int:
    """Trainable parameters of the layer."""
    layer = make(name)
    layer.build((None, *SHAPE))
    return sum(math.prod(weight.shape) for weight in layer.trainable_weights)


def cells(name: str) -> str:
    """The start of a row, which a test recomputes: name, layer with its page, parameters."""
    label = f"[`{type(make(name)).__name__}`]({PAGES[name]}.md)"
    return f"| `{name}` | {label} | {parameters(name):,} |"


def measured(name: str) -> str:
    """The rest of the row: what the converted file has."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    model = keras.Model(inputs, make(name)(inputs))
    report = tflite.convert(model, "static_int8", images, io="int8").report
    inspection = report.inspection
    left = Counter(inspection.not_delegated)
    left = ", ".join(f"{count} x {name}" for name, count in left.items())
    count = sum(operator.count for operator in inspection.operators)
    return (
        f" {count} | {f'all but {left}' if left else 'all'} | {report.comparison.snr_db:.0f} dB |"
    )


def main() -> None:
    head, _, rest = PAGE.read_text().partition(START)
    rows = [cells(name) + measured(name) + "\n" for name in PAGES]
    PAGE.write_text(
        head + START + "\n" + HEAD + "".join(rows) + "\n" + END + rest.partition(END)[2]
    )


if __name__ == "__main__":
    main()
