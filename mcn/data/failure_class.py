"""What a failure means for the next try: the one table from reason to class, for every step.

permanent: the video itself is to blame, and it will be tomorrow; it is never tried again.
transient: the network, a disk or somebody's file was to blame; another try may help.
poison: it took the decoder down. It may have been the node: such a video is tried once more, and
then never again, unless `--retry poison` asks for it.
"""

from typing import Literal

FailureClass = Literal["permanent", "transient", "poison"]

CLASS_OF: dict[str, FailureClass] = {
    # of downloading
    "age": "transient",
    "blocked": "transient",
    "container": "transient",
    "data": "transient",
    "extraction": "transient",
    "gone": "permanent",
    "live": "transient",
    "name": "permanent",
    "network": "transient",
    "no_such_id": "permanent",
    "nothing": "transient",
    "playlist": "permanent",
    "private": "permanent",
    "region": "transient",
    "removed": "permanent",
    "slow": "transient",
    "unavailable": "permanent",
    # of reading a file, in resizing and in extraction
    "crashed": "poison",
    "empty": "permanent",
    "hung": "poison",
    "missing": "transient",
    "no-audio": "permanent",
    "no-frames": "permanent",
    "no-video": "permanent",
    "out-of-memory": "poison",
    "too-large": "permanent",  # found before it does harm, and the same at every try
    "truncated": "permanent",
    "undecodable": "permanent",
    "unforeseen": "poison",  # an error that nobody has thought of, in a library or here
    "unreadable": "permanent",
    "unreadable-now": "transient",  # it is there: the disk, the network, or the rights to it
    "unverified": "transient",  # what was read back is not what was written: the disk, or a link
    # of a resized file that resizing did not make: remove it, and jobs/resize.py --retry all
    "keyframes": "transient",
    "link": "transient",
    "shape": "transient",
    # of the features themselves
    "no-known-words": "permanent",
    "not-finite": "permanent",
    "too-short": "permanent",
    "zero-variance": "permanent",
}

MOST_POISON_ATTEMPTS = 2
"""How often a video may take the decoder down before it is quarantined."""

Retry = Literal["transient", "poison", "all"]
"""The failures that a user asks to be tried again: of one class, or all of them."""


def class_of(reason: str) -> FailureClass:
    """The class of a reason; what nobody knows to be final is worth another try."""
    return CLASS_OF.get(reason, "transient")


def is_due(failure: FailureClass, attempts: int, retry: Retry | None) -> bool:
    """Whether a video that has failed, after so many attempts, is to be tried again."""
    if retry in ("all", failure):
        return True
    return failure == "poison" and attempts < MOST_POISON_ATTEMPTS
