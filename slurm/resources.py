"""What a job asks of the cluster, and the site's file with what never changes."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

REPOSITORY = Path(__file__).resolve().parent.parent
SITE_FILE = "slurm.toml"

# A task needs that long to import its libraries and to do anything, before it is told to leave.
SECONDS_TO_BEGIN = 60
# Options of sbatch by which our own parts know a job, find its words and stop it.
OWN_OPTIONS = frozenset({"array", "comment", "error", "job-name", "output", "signal"})
NO_REQUEUE = "no-requeue"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Where and how fast; decides no outcome."""

    partition: str | None = None
    """Partition to submit to; by default the cluster's own."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that nodes must have, as a100."""
    exclude: str | None = None
    """Nodes not to use, as node1,node[7-9]."""
    time_limit_minutes: int = 24 * 60
    """Time limit of a task; a task that reaches it is put back by itself, as long as it gets on."""
    warning_seconds: int = 120
    """How long before the time limit a task is told to save and to leave."""
    cpus_per_task: int = 4
    """Cores of a task; in training, of each process."""
    memory_gb: float | None = None
    """Memory on a node; by default what the cluster gives."""
    gpus_per_task: int = 0
    """GPUs of a task of an array; training asks for --gpus instead."""
    jitter_seconds: float = 10.0
    """Tasks of an array start within so many seconds, not all at once."""
    setup: tuple[str, ...] = ()
    """Lines of shell that a job runs first, as "module load cuda"."""
    sbatch: dict[str, str] = field(default_factory=dict)
    """Further options of sbatch by name, as: mail-type FAIL; one without a value has an empty one,
    as: contiguous ''."""

    def __post_init__(self) -> None:
        for name in ("time_limit_minutes", "cpus_per_task"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} and must be at least 1")
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise ValueError(f"memory_gb is {self.memory_gb:g} and must be more than 0")

    @property
    def sbatch_options(self) -> dict[str, str]:
        """Further options of sbatch by the names that it has for them."""
        return {name.lstrip("-").replace("_", "-"): value for name, value in self.sbatch.items()}

    @property
    def may_requeue(self) -> bool:
        """Whether a job that was stopped may come back by itself."""
        return NO_REQUEUE not in self.sbatch_options

    def check_for_slurm(self) -> None:
        """Refuse what would let a job run in vain, or hide it from its launcher.

        Raises:
            ValueError: It is told to leave as soon as it begins, or its own options are replaced.
        """
        least = self.warning_seconds + SECONDS_TO_BEGIN
        if self.time_limit_minutes * 60 <= least:
            raise ValueError(
                f"--time-limit-minutes {self.time_limit_minutes} is too short for a task that is "
                f"told to leave {self.warning_seconds} s before and needs {SECONDS_TO_BEGIN} s to "
                f"begin: ask for at least {least // 60 + 1} minutes, or for fewer "
                "--warning-seconds"
            )
        for name in sorted(OWN_OPTIONS & self.sbatch_options.keys()):
            raise ValueError(
                f"--sbatch {name}: this option is set by the launch itself, which would no more "
                "find or stop its jobs; leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How many processes a job has, on how many nodes, and when they may start."""

    max_running: int | None = None
    """Tasks of an array that may run at once."""
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int = 0
    dependency: str | None = None
    """Jobs to wait for, in the notation of sbatch."""


def site_resources(step: str, **defaults: Any) -> Resources:
    """What a step asks for unless told otherwise.

    The defaults given, overridden by the user's file, then by the repository's; in each file a
    table named after the step overrides what stands above it.

    Raises:
        ValueError: A file names what is no field of Resources, or gives a value of another type.
    """
    chosen = dict(defaults)
    for path in site_files():
        if path.exists():
            chosen.update(_read(path, step))
    return Resources(**chosen)


def site_files() -> tuple[Path, ...]:
    """Where a site's file may lie, the one that wins last."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "mcn" / SITE_FILE, REPOSITORY / SITE_FILE


def _read(path: Path, step: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    # A table is a step's, except that of further options.
    tables = {k: v for k, v in content.items() if isinstance(v, dict) and k != "sbatch"}
    general = {k: v for k, v in content.items() if k not in tables}
    for section, values in {"": general, **tables}.items():
        _check(f"{path} [{section}]" if section else str(path), values)
    chosen = general | tables.get(step, {})
    return {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()}


def _check(where: str, values: dict[str, Any]) -> None:
    # Here, since every command would wait for it, and few sites have such a file.
    from beartype import BeartypeConf
    from beartype.door import is_bearable

    integers_are_floats = BeartypeConf(is_pep484_tower=True)
    hints = get_type_hints(Resources)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"{where}: {name!r} is none of {', '.join(sorted(hints))}")
        given = tuple(value) if isinstance(value, list) else value
        if not is_bearable(given, hints[name], conf=integers_are_floats):
            raise ValueError(f"{where}: {name} = {value!r} is none that {hints[name]} allows")
