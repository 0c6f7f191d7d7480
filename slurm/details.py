"""What `scontrol show` says of one node, or of one job."""

from typing import Literal

from slurm.controller import SlurmError, call


def detail(kind: Literal["job", "node"], name: str, field: str) -> str:
    """One field of it, as the NodeAddr of a node or the JobState of a job.

    Raises:
        SlurmError: No answer, or none that has this field.
    """
    for said in call("scontrol", "show", kind, name, "--oneliner").split():
        key, _, value = said.partition("=")
        if key == field:
            return value
    raise SlurmError(f"`scontrol show {kind} {name}` does not say {field}")
