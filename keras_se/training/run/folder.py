"""The folder of a run: resumed, begun, or refused."""

import contextlib
import os
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ...files import remove_leftovers, replacing
from ...locks import held
from ..distributed.group import Group
from ..settings import FitSettings, to_toml
from .state import Record, load_record

SETTINGS, STATE, LOG = "settings.toml", "state.npz", "log.csv"
BEST, LAST = "best.keras", "last.keras"
RESULTS, CURVES, CONFUSION = "results.json", "curves.png", "confusion.png"
FILES = (SETTINGS, STATE, LOG, BEST, LAST, RESULTS, CURVES, CONFUSION)
TENSORBOARD, LOCK = "tensorboard", ".lock"
BROKEN = (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


@contextlib.contextmanager
def open_run(group: Group, settings: FitSettings, digest: str) -> Iterator[Record]:
    """The record of the run in the output folder of rank 0, or a new one; for all processes.

    The folder is made where it is missing, and rank 0 holds it until the end; a new run's is
    cleared by `begin_run`.

    Raises:
        BlockingIOError: if another process trains into the folder.
        FileExistsError: if the folder holds a run with other settings or other pictures.
        ValueError: if the processes would not train the same.
    """
    own = {"settings": to_toml(replace(settings, data="")), "pictures": digest}
    own["checkpoint_steps"] = str(settings.checkpoint_steps)  # all take part in a checkpoint
    for rank, other in enumerate(group.gather(own)):
        differing = [name for name in own if own[name] != other[name]]
        if differing:
            raise ValueError(
                "All processes must have the same settings and the same pictures. "
                f"Received: other {' and '.join(differing)} on rank {rank} than on {group.rank}"
            )
    with _alone_in(settings.output) if group.writes else contextlib.nullcontext():
        record = _open(settings, digest) if group.writes else None
        yield Record(**group.gather(record and asdict(record))[0])


@contextlib.contextmanager
def _alone_in(output: Path) -> Iterator[None]:
    made = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if made:
            stack.callback(_remove_if_empty, output)
        try:
            stack.enter_context(held(output / LOCK))
        except BlockingIOError as error:
            raise BlockingIOError(
                f"Another run is training into {str(output)!r} now ({error}); wait for its end, "
                "or choose another output"
            ) from error
        yield


def _remove_if_empty(folder: Path) -> None:
    """Leave no folder behind in which nothing was begun."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _open(settings: FitSettings, digest: str) -> Record:
    """The record of the run in the output folder, or a new one."""
    output = settings.output
    for name in FILES:
        remove_leftovers(output / name)
    complete, state = (output / LAST).exists(), output / STATE
    if not complete and not state.exists():
        _check_holds_nothing_of_others(settings)
        return Record(digest)  # nothing, or a start that did not come to a first checkpoint
    record = read_record(output)
    reason = _other_run(settings, digest, record)
    if settings.overwrite and (complete or reason):
        return Record(digest)
    if reason or record is None:
        raise FileExistsError(
            f"{str(output)!r} holds {reason}; choose another output, or overwrite=True "
            "(--overwrite)"
        )
    return record


def read_record(output: Path) -> Record | None:
    """Where the run in a folder is; None where nothing is saved, or it cannot be read."""
    with contextlib.suppress(*BROKEN):
        return load_record(output / STATE)
    return None


def _other_run(settings: FitSettings, digest: str, record: Record | None) -> str:
    """What tells the run in the folder from this one; empty where nothing does."""
    if record is None:
        return f"a run without a {STATE} that can be read"
    there, own = _settings_in(settings.output), tomllib.loads(to_toml(settings))
    if there is None:
        return f"a run without a {SETTINGS} that can be read"
    for values in (there, own):  # "pictures/" and "./pictures" are one folder
        values["data"] = os.path.normpath(values.get("data", ""))
    differing = [name for name in there | own if there.get(name) != own.get(name)]
    changes = [f"{name}: {there.get(name)!r} there" for name in differing]
    if changes:
        return f"a run with other settings ({', '.join(changes)})"
    if record.digest != digest:
        return f"a run with other pictures than {settings.data!r} has now"
    return ""


def _settings_in(output: Path) -> dict | None:
    """What settings.toml in a folder says; None where there is none, or it is no TOML."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return tomllib.loads((output / SETTINGS).read_text("utf-8"))
    return None


def _check_holds_nothing_of_others(settings: FitSettings) -> None:
    """Raise where `begin_run` would remove what is not of a run that has just begun.

    Such a run has left a settings.toml with every setting in it; nobody else writes them all.
    """
    output = settings.output
    foreign = [name for name in (*FILES, TENSORBOARD) if (output / name).exists()]
    begun = tomllib.loads(to_toml(FitSettings(""))).keys() <= (_settings_in(output) or {}).keys()
    if foreign and not begun and not settings.overwrite:
        raise FileExistsError(
            f"{str(output)!r} holds {foreign}, which no run has left there; choose another output, "
            "or overwrite=True (--overwrite)"
        )


def begin_run(settings: FitSettings) -> None:
    """Clear the output folder for a run from its first step on, and leave its settings there."""
    for name in FILES:
        (settings.output / name).unlink(missing_ok=True)
    shutil.rmtree(settings.output / TENSORBOARD, ignore_errors=True)
    with replacing(settings.output / SETTINGS) as temporary:
        temporary.write_text(to_toml(settings), "utf-8")
