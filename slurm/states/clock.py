"""Points in time and durations, as SLURM writes them."""

import re
from datetime import datetime


def seconds_since_1970(text: str) -> float | None:
    """When `2026-08-24T09:30:00` was, by this machine's clock; None for `Unknown` or `N/A`."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def duration_seconds(text: str) -> float | None:
    """How long `[days-][hours:]minutes:seconds[.fraction]` is; None for what is no duration."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
