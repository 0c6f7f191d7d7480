import dataclasses
from typing import Any

import numpy as np
import pytest

from mcn.store.fingerprint import Fingerprint
from mcn.store.record import SPAN, Record, all_finite, check_record
from tests.shards import DIM, TEXT, VIDEO, done, failed

BAD_SPANS = np.array([(0, 1, 2)], SPAN)
TIMELESS_SPANS = np.array([(0, np.nan, 3)], SPAN)


@pytest.mark.parametrize(
    ("record", "fingerprint"),
    [
        (done("a"), VIDEO),
        (done("a", num_rows=0), VIDEO),
        (failed("a"), VIDEO),
        (failed("a"), TEXT),
        (done("a", with_spans=True), TEXT),
        (dataclasses.replace(done("a", num_rows=0), spans=np.empty(0, SPAN)), TEXT),
    ],
)
def test_sound_records_pass(record: Record, fingerprint: Fingerprint) -> None:
    check_record(record, fingerprint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((3, DIM), np.float32)}, "float32"),
        ({"features": np.zeros((3, DIM + 1), np.float16)}, "shape"),
        ({"features": np.zeros(DIM, np.float16)}, "shape"),
        ({"features": np.full((3, DIM), np.nan, np.float16)}, "NaN"),
        ({"features": np.full((3, DIM), -np.inf, np.float16)}, "infinity"),
        ({"completeness": float("nan")}, "completeness"),
        ({"completeness": -0.5}, "completeness"),
        ({"num_errors": -2}, "num_errors"),
        ({"reason": "no such file \udce4.mp4"}, "reason"),
        ({"spans": np.array([(0, 1, 3)], SPAN)}, "either a rate or spans"),
        ({"status": "failed", "reason": "empty"}, "no rows"),
    ],
)
def test_unsound_records_are_named_with_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"'dQw4'.*{message}"):
        check_record(dataclasses.replace(done("dQw4"), **change), VIDEO)


def test_a_failure_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="without a reason"):
        check_record(failed("a", reason=""), VIDEO)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (None, "missing"),
        (BAD_SPANS, "2 rows, features 3"),
        (TIMELESS_SPANS, "not finite"),
        (np.array([(0, 1, 4), (1, 2, -1)], SPAN), "rows"),
        (np.zeros(1, np.dtype([("start_seconds", "<f8")])), "not SPAN"),
    ],
)
def test_text_needs_spans_that_hold_its_rows(spans: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_record(dataclasses.replace(done("a"), spans=spans), TEXT)


def test_all_finite_agrees_with_numpy_on_every_value_there_is() -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert [all_finite(values[i : i + 1]) for i in range(2**16)] == np.isfinite(values).tolist()
