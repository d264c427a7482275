"""Write docs/surgery.md: which preset of `keras_se.insert` fits which model.

    python docs/generate_surgery.py

Every network of keras.applications is built without weights at a small input size. On two
CPU cores about five minutes; 6 GB of memory for the largest.
"""

import sys
from pathlib import Path

import keras

from keras_se.surgery import STARTS
from keras_se.surgery.places import find_places

PAGE = Path(__file__).with_name("surgery.md")
SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}  # else 32 pixels

INTRODUCTION = """\
# Surgery: attention for a model that you have

`keras_se.insert(model, gate, after=...)` returns a copy of any functional or Sequential Keras
model with attention at the chosen places. At first it computes what the model computed; compile
and train it as usual.

<!-- not run: fetches published weights -->
```python
import keras, keras_se

model = keras.applications.MobileNetV2()
model = keras_se.insert(model, "se", after="depthwise")
```

| function | what it does |
| --- | --- |
| `keras_se.insert` | puts gates in |
| `keras_se.replace` | turns 3 x 3 convolutions into selective kernels |
| `keras_se.remove` | takes constant gates out, and folds them into the weights around them |
| `keras_se.prune_gates` | the same for gates that hardly vary over your pictures, with a report |

## Where

`after` is one of three presets:

- `"residual"`: at the end of the residual branch, before the addition, of each residual block;
- `"stage"`: after the last feature map of each resolution;
- `"depthwise"`: after each depthwise convolution with its normalisation and activation.

Or it is a layer's name or path, a list of them, a compiled regular expression, or a function of a
layer:

```python
import re

import keras, keras_se

plain = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=5)
model = keras_se.insert(plain, "cbam", after="stage", kernel_size=3)  # options of the gate
model = keras_se.insert(plain, "eca", after=re.compile("block_1[0-6]_project_BN"))
model = keras_se.insert(plain, "se", after=["block_3_expand", "block_6_expand"], ratio=4)
```

Gates are named after the layer before them: `model.get_layer("block_3_expand_se")`.
[Questions](questions.md#how-do-i-freeze-layers) shows how to train them alone.
"""

STARTS_HEAD = """

## How each gate starts as the identity

The kernel of the gate's last layer is zero, so that the gate is constant. The gate function is
chosen to be 1 there with a slope, so that the last layer has a gradient in the first step, and
all layers from the second step on. `start=None` keeps the gate's usual initialisation.

| Gate | Construction |
| --- | --- |
"""

TABLE_HEAD = """

## Which preset fits which model

The number of places in the networks of `keras.applications`; 0 means that the preset does not
fit.

| Model | residual | stage | depthwise |
| --- | ---: | ---: | ---: |
"""


def networks() -> list[str]:
    """The constructors of keras.applications, by name."""
    found = vars(keras.applications)
    return sorted(name for name in found if name[0].isupper() and callable(found[name]))


def build(name: str) -> keras.Model:
    """A network without classifier and weights, for small pictures."""
    size = SIZES.get(name, 32)
    constructor = getattr(keras.applications, name)
    return constructor(weights=None, include_top=False, input_shape=(size, size, 3))


def count(model: keras.Model, preset: str) -> int:
    """At how many places a preset puts gates."""
    try:
        return len(find_places(model, preset))
    except ValueError:
        return 0


def row(name: str) -> str:
    model = build(name)
    counts = [count(model, preset) for preset in ("residual", "stage", "depthwise")]
    keras.backend.clear_session()
    return f"| {name} | {counts[0]} | {counts[1]} | {counts[2]} |"


def introduction() -> str:
    """Everything before the table of models."""
    starts = "\n".join(f"| `{name}` | {start.how} |" for name, start in STARTS.items())
    return f"{INTRODUCTION}{STARTS_HEAD}{starts}\n{TABLE_HEAD}"


def main() -> None:
    rows = []
    for name in networks():
        rows.append(row(name))
        print(rows[-1], file=sys.stderr)
    PAGE.write_text(introduction() + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
