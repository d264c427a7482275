"""The folder of a run: begun, gone on with, or refused."""

import tomllib
from dataclasses import asdict, replace

from ..files import replacing
from .distributed.group import Group
from .fit_callbacks import BEST, LOG, STATE
from .fit_results import CONFUSION, CURVES, RESULTS
from .settings import FitSettings, to_toml
from .state import Record, load_record

SETTINGS, LAST = "settings.toml", "last.keras"
FILES = (SETTINGS, STATE, LOG, BEST, LAST, RESULTS, CURVES, CONFUSION)


def open_run(group: Group, settings: FitSettings, digest: str) -> Record:
    """The record of the run in the output folder of rank 0, or a new one; for all processes.

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
    output, path = settings.output, settings.output / SETTINGS
    output.mkdir(parents=True, exist_ok=True)
    if settings.overwrite:
        for name in FILES:
            (output / name).unlink(missing_ok=True)
    text = to_toml(settings)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text)
    there, own = tomllib.loads(path.read_text()), tomllib.loads(text)
    differing = [name for name in there | own if there.get(name) != own.get(name)]
    if differing:
        changes = ", ".join(f"{name}: {there.get(name)!r} there" for name in differing)
        raise FileExistsError(
            f"{str(output)!r} holds a run with other settings ({changes}); give the same ones "
            "to go on, or another output, or overwrite=True (--overwrite)"
        )
    if not (output / STATE).exists():
        return Record(digest)
    record = load_record(output / STATE)
    if record.digest != digest:
        raise FileExistsError(
            f"{str(output)!r} holds a run with other pictures than {settings.data!r} has now; "
            "choose another output, or overwrite=True (--overwrite)"
        )
    return record
