"""What a converted file computes with: the named recipes."""

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Recipe:
    """The number formats of a converted file.

    Attributes:
        name: the recipe's key in `RECIPES`.
        weights: dtype in which the file stores its weights: "float32", "float16" or "int8".
        activations: dtype in which the tensors between the operators are computed: "float32", or
            with int8 weights "int8" or "int16".
        summary: when to choose it, in one line.
        float_gates: compute sigmoid gates in float, between integers.

    Raises:
        ValueError: for dtypes that no file is made with.
    """

    name: str
    weights: str
    activations: str
    summary: str
    float_gates: bool = False

    def __post_init__(self):
        if self.weights not in _ACTIVATIONS:
            raise ValueError(
                f"Unknown weights of a recipe; expected one of {list(_ACTIVATIONS)}. "
                f"Received: weights={self.weights!r}"
            )
        if self.activations not in _ACTIVATIONS[self.weights]:
            raise ValueError(
                f"Unknown activations of a recipe with {self.weights} weights; expected one of "
                f"{list(_ACTIVATIONS[self.weights])}. Received: activations={self.activations!r}"
            )
        if self.float_gates and self.activations != "int8":
            raise ValueError(
                "Gates are kept in float between int8 activations. "
                f"Received: float_gates=True, activations={self.activations!r}"
            )

    @property
    def needs_calibration(self) -> bool:
        """Whether the ranges of the activations must be observed on pictures."""
        return self.activations != "float32"

    @property
    def ios(self) -> tuple[str, ...]:
        """Dtypes that the file's input and output may have; the first is the default."""
        return _IOS.get(self.activations, ("float32",))


# By weights. What is computed in integers has integer weights.
_ACTIVATIONS = {
    "float32": ("float32",),
    "float16": ("float32",),
    "int8": ("float32", "int8", "int16"),
}
_IOS = {"int8": ("uint8", "int8", "float32"), "int16": ("float32", "int16")}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", "float32", "float32", "the Keras model as it is; the reference"),
        Recipe("float16", "float16", "float32", "half the size; runs in float16 on a GPU"),
        Recipe("dynamic_int8", "int8", "float32", "a quarter of the size, no pictures needed"),
        Recipe(
            "static_int8", "int8", "int8", "smallest and fastest; integers only, for CPU and NPU"
        ),
        Recipe(
            "mixed_int8",
            "int8",
            "int8",
            "as fast on a CPU; small gates keep their value, in float",
            float_gates=True,
        ),
        Recipe(
            "static_int16x8",
            "int8",
            "int16",
            "integers only, near float's accuracy; slow on a CPU, for some NPUs",
        ),
    )
}


# What TensorFlow Lite's documentation and others call them.
OTHER_NAMES = {
    "int8": "static_int8",
    "uint8": "static_int8",
    "integer": "static_int8",
    "full_integer": "static_int8",
    "full_int8": "static_int8",
    "static": "static_int8",
    "dynamic": "dynamic_int8",
    "dynamic_range": "dynamic_int8",
    "fp16": "float16",
    "half": "float16",
    "fp32": "float32",
    "float": "float32",
    "mixed": "mixed_int8",
    "int16": "static_int16x8",
    "int16x8": "static_int16x8",
}
AUTO = "auto"


def check_recipe(name: str) -> None:
    """Raise ValueError unless `convert` knows a recipe by this name, "auto" included."""
    known = [*RECIPES, AUTO]
    if name in known:
        return
    plain = name.lower().replace("-", "_").replace(" ", "_")
    near = [OTHER_NAMES[plain]] if plain in OTHER_NAMES else get_close_matches(plain, known, 1)
    suggestion = f"did you mean {near[0]!r}? E" if near else "e"
    raise ValueError(f"Unknown recipe {name!r}; {suggestion}xpected one of {known}")


def get_recipe(recipe: str | Recipe) -> Recipe:
    """Look a recipe up by name; a `Recipe` is returned as it is.

    Raises:
        ValueError: for a name that is not in `RECIPES`.
        TypeError: for anything that is neither a name nor a `Recipe`.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise TypeError(f"A recipe is a name or a Recipe. Received: recipe={recipe!r}")
    check_recipe(recipe)
    if recipe == AUTO:
        raise ValueError("Recipe 'auto' chooses among the others; one of them is needed here")
    return RECIPES[recipe]
