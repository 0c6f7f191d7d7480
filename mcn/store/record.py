"""One video's part of a shard: its features, or the reason why there are none."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import NOT_COUNTED, is_storable

SPAN = np.dtype([("start_seconds", "<f8"), ("end_seconds", "<f8"), ("num_rows", "<i4")])
"""A stretch of a video that has rows of its own, such as a caption with one row a word."""

STATUSES = ("done", "failed")

MOST_ERRORS = 2**31


@dataclass(frozen=True, eq=False)
class Record:
    """The outcome of one video.

    With a fixed rate, row t covers [t, t + 1) / rows_per_second and there are no spans. Without
    one (text), there is a span for every caption line, the empty ones too, and the rows of each
    follow those of the one before.
    """

    video_id: str
    status: Literal["done", "failed"]
    reason: str
    """Why it failed, as a short slug; empty where it did not."""
    completeness: float
    """How much of the file could be read, 1 for all of it."""
    features: NDArray[Any]
    """[rows, dim] of the fingerprint's type, all finite; no rows where it failed."""
    spans: NDArray[Any] | None = None
    """SPAN [captions], or None at a fixed rate."""
    num_errors: int = NOT_COUNTED
    """Places at which the file was damaged, as far as the decoder said so."""


def check_record(record: Record, fingerprint: Fingerprint) -> None:
    """Raises ValueError, naming the video, where the record does not fit the shard."""
    problem = _first_problem(record, fingerprint)
    if problem:
        raise ValueError(f"video {record.video_id!r}: {problem}")


def _first_problem(record: Record, fingerprint: Fingerprint) -> str | None:
    features = record.features
    if features.dtype != fingerprint.row_dtype:
        return f"features are {features.dtype}, the store holds {fingerprint.row_type}"
    if features.ndim != 2 or features.shape[1] != fingerprint.dim:
        return f"features have shape {features.shape}, not (rows, {fingerprint.dim})"
    if not all_finite(features):
        return "features hold NaN or infinity (values beyond 65504 do not fit float16)"
    if record.status not in STATUSES:
        return f"status is {record.status!r}, not one of {STATUSES}"
    if not (np.isfinite(record.completeness) and record.completeness >= 0):
        return f"completeness is {record.completeness}, not a share"
    if not NOT_COUNTED <= record.num_errors < MOST_ERRORS:
        return f"num_errors is {record.num_errors}, not a number of errors"
    if not is_storable(record.reason):
        return f"reason {record.reason!r} is no text that can be stored"
    if record.status == "failed":
        return _problem_of_failure(record)
    return _problem_of_spans(record, fingerprint)


def _problem_of_failure(record: Record) -> str | None:
    if len(record.features) or (record.spans is not None and len(record.spans)):
        return f"failed, yet has {len(record.features)} rows; a failure has no rows and no spans"
    if not record.reason:
        return "failed without a reason"
    return None


def _problem_of_spans(record: Record, fingerprint: Fingerprint) -> str | None:
    spans = record.spans
    if (spans is None) != (fingerprint.rows_per_second is not None):
        return (
            f"spans are {'missing' if spans is None else 'given'} although rows_per_second is "
            f"{fingerprint.rows_per_second}: rows have either a rate or spans"
        )
    if spans is None:
        return None
    if spans.dtype != SPAN or spans.ndim != 1:
        return f"spans are {spans.dtype} of shape {spans.shape}, not SPAN [captions]"
    if not (np.isfinite(spans["start_seconds"]) & np.isfinite(spans["end_seconds"])).all():
        return "spans hold times that are not finite"
    if (spans["num_rows"] < 0).any() or spans["num_rows"].sum() != len(record.features):
        return f"spans hold {spans['num_rows'].sum()} rows, features {len(record.features)}"
    return None


def all_finite(features: NDArray[Any]) -> bool:
    """Whether no value is NaN or infinite, which integers never are.

    Of float16 an exponent of ones, ten times faster than isfinite.
    """
    if features.dtype.kind == "i":
        return True
    exponent = np.uint16(0x7C00)
    return not ((np.ascontiguousarray(features).view(np.uint16) & exponent) == exponent).any()
