"""A video's id names its files, so it must be a plain file name."""

from collections.abc import Collection

MOST_BYTES = 200
"""Names of files have 255 bytes; those of the files that are made of a video are longer than it."""


def check_video_id(video_id: str, where: str) -> str:
    """The id itself.

    Raises:
        ValueError: If a file of that name would lie elsewhere, or could not be; names `where`.
    """
    problem = problem_of(video_id)
    if problem:
        raise ValueError(f"{where}: video id {video_id!r} {problem}; it is to be a plain file name")
    return video_id


def problem_of(video_id: str) -> str | None:
    """What is wrong with it, for the middle of a sentence; None where nothing is."""
    if not video_id:
        return "is empty"
    if video_id in (".", ".."):
        return "is a folder"
    if "/" in video_id or "\0" in video_id:
        return "holds a / or a NUL"
    try:
        length = len(video_id.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if length > MOST_BYTES:
        return f"has {length} bytes, more than {MOST_BYTES}"
    return None


def are_plain(video_ids: Collection[str]) -> bool:
    """Whether nothing is wrong with a million ids; where this is not sure, `problem_of` tells."""
    together = "".join(video_ids)
    return (
        together.isascii()
        and "/" not in together
        and "\0" not in together
        and max(map(len, video_ids), default=0) <= MOST_BYTES
        and {"", ".", ".."}.isdisjoint(video_ids)
    )
