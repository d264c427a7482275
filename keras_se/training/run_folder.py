"""The folder of a run: resumed, begun, or refused."""

import shutil
import tomllib
from dataclasses import asdict, replace

from ..files import remove_leftovers, replacing
from .distributed.group import Group
from .fit_callbacks import BEST, LOG, STATE
from .fit_results import CONFUSION, CURVES, RESULTS
from .settings import FitSettings
from .settings_file import to_toml
from .state import Record, load_record

SETTINGS, LAST, TENSORBOARD = "settings.toml", "last.keras", "tensorboard"
FILES = (SETTINGS, STATE, LOG, BEST, LAST, RESULTS, CURVES, CONFUSION)


def open_run(group: Group, settings: FitSettings, digest: str) -> Record:
    """The record of the run in the output folder of rank 0, or a new one; for all processes.

    The folder is made where it is missing; a new run's is cleared by `begin_run`.

    Raises:
        FileExistsError: if the folder holds a run with other settings or other pictures.
        ValueError: if the processes would not train the same.
    """
    own = {"settings": to_toml(replace(settings, data="")), "pictures": digest}
    for rank, other in enumerate(group.gather(own)):
        differing = [name for name in own if own[name] != other[name]]
        if differing:
            raise ValueError(
                "All processes must have the same settings and the same pictures. "
                f"Received: other {' and '.join(differing)} on rank {rank} than on {group.rank}"
            )
    record = _open(settings, digest) if group.writes else None
    return Record(**group.gather(record and asdict(record))[0])


def _open(settings: FitSettings, digest: str) -> Record:
    """The record of the run in the output folder, or a new one."""
    output = settings.output
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        remove_leftovers(output / name)
    complete = (output / LAST).exists()
    if not complete and not (output / STATE).exists():
        return Record(digest)  # nothing, or a start that did not come to a first checkpoint
    reason = _other_run(settings, digest)
    if settings.overwrite and (complete or reason):
        return Record(digest)
    if reason:
        raise FileExistsError(
            f"{str(output)!r} holds {reason}; choose another output, or overwrite=True "
            "(--overwrite)"
        )
    return load_record(output / STATE)


def _other_run(settings: FitSettings, digest: str) -> str:
    """What tells the run in the folder from this one; empty where nothing does."""
    for name in (SETTINGS, STATE):
        if not (settings.output / name).exists():
            return f"a run without its {name}"
    there = tomllib.loads((settings.output / SETTINGS).read_text("utf-8"))
    own = tomllib.loads(to_toml(settings))
    differing = [name for name in there | own if there.get(name) != own.get(name)]
    changes = [f"{name}: {there.get(name)!r} there" for name in differing]
    if changes:
        return f"a run with other settings ({', '.join(changes)})"
    if load_record(settings.output / STATE).digest != digest:
        return f"a run with other pictures than {settings.data!r} has now"
    return ""


def begin_run(settings: FitSettings) -> None:
    """Clear the output folder for a run from its first step on, and leave its settings there."""
    for name in FILES:
        (settings.output / name).unlink(missing_ok=True)
    shutil.rmtree(settings.output / TENSORBOARD, ignore_errors=True)
    with replacing(settings.output / SETTINGS) as temporary:
        temporary.write_text(to_toml(settings), "utf-8")
