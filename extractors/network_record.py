"""Rows that a network made, as a record of the store."""

from jaxtyping import Float
from torch import Tensor

from extractors.extract import failed_record
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record


def network_record(
    video_id: str, rows: Float[Tensor, "rows dim"], completeness: float, fingerprint: Fingerprint
) -> Record:
    """A record of a network's rows; a failed one too where a row is the same in all dimensions.

    Such a row is no feature: the network is dead, or its weights are not those that they are said
    to be. That rows are alike is no failure, since a picture may stand still.
    """
    record = features_record(video_id, rows, completeness, fingerprint)
    if record.status == "done" and (record.features == record.features[:, :1]).all(1).any():
        return failed_record(video_id, "zero-variance", fingerprint)
    return record


def features_record(
    video_id: str, rows: Float[Tensor, "rows dim"], completeness: float, fingerprint: Fingerprint
) -> Record:
    """A record of features; a failed one where float16 cannot hold them or there are none."""
    if not len(rows):
        return failed_record(video_id, "too-short", fingerprint)
    features = rows.half()
    if not features.isfinite().all():
        return failed_record(video_id, "not-finite", fingerprint)
    return Record(video_id, "done", "", completeness, features.numpy())
