"""`FitSettings` from a preset, a TOML file and values, and back to TOML."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path

from .checks import network_options
from .fit_settings import FitSettings
from .presets import PRESETS

NAMES = tuple(setting.name for setting in fields(FitSettings))


def make_settings(preset: str = "default", file: str | Path | None = None, **values) -> FitSettings:
    """Settings from a preset, changed by a TOML file, changed by values.

    Args:
        preset: name in `PRESETS`; one that the file names (`preset = "cifar"`) counts where
            this is "default".
        file: TOML, with fields of `FitSettings` at its top level, such as the settings.toml
            that a run leaves behind.
        **values: fields of `FitSettings`. `model_options` are added to those of the file and
            of the preset, where these are of the same `model`.

    Raises:
        ValueError: for an unknown preset or field, or a value out of its range.

    >>> make_settings("cifar", data="pictures", epochs=10).batch_size
    128
    """
    read = {}
    if file is not None:
        try:
            read = tomllib.loads(Path(file).read_text("utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"Not a TOML file: {str(file)!r}: {error}") from error
    named = read.pop("preset", "default")
    preset = named if preset == "default" else preset
    if preset not in PRESETS:
        raise ValueError(f"Unknown preset {preset!r}; expected one of {sorted(PRESETS)}")
    merged = _merged(PRESETS[preset], read, values)
    unknown = [name for name in merged if name not in NAMES]
    if unknown:
        raise ValueError(f"Unknown settings {unknown}; expected some of {list(NAMES)}")
    if "data" not in merged:
        raise ValueError("A run needs `data`: a folder of pictures, cifar10, tfds:NAME or an .npz")
    return FitSettings(**merged)


def _merged(*layers: dict) -> dict:
    """Later values over earlier ones; options of the network add up while it is the same."""
    merged: dict = {"model": FitSettings.model}
    options: dict = {}
    for layer in layers:
        if layer.get("model", merged["model"]) != merged["model"]:
            options = {}
        options = options | network_options(layer.get("model_options", {}))
        merged |= layer
    return merged | {"model_options": options}


def to_toml(settings: FitSettings) -> str:
    """Settings as TOML; what is None is left out, since None is its default.

    >>> print(to_toml(FitSettings("pictures")).splitlines()[0])
    data = "pictures"
    """
    values = {name: value for name, value in settings.facts().items() if value not in (None, {})}
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{name} = {_toml(values[name])}" for name in values if name not in tables]
    for name, table in tables.items():
        lines += [f"\n[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value) -> str:
    """Strings, numbers, booleans and lists are written alike in JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
