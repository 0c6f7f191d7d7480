import re
from pathlib import Path

import pytest

from extractors.download_errors import CURABLE, FINAL
from mcn.data.failure_class import CLASS_OF, Retry, class_of, is_due
from mcn.root import REPOSITORY

RAISED = re.compile(r'(?:MediaError|VideoFailedError|failed_record)\(\s*(?:video_id, )?"([a-z-]+)"')


def test_every_reason_of_the_extractors_has_its_class() -> None:
    sources = "".join(path.read_text() for path in Path(REPOSITORY / "extractors").glob("*.py"))
    # A pass that was cut off is made again for each feature alone, and fails for another reason.
    reasons = set(RAISED.findall(sources)) - {"cut-off"}
    assert {"truncated", "hung", "too-short", "slow"} <= reasons
    assert reasons | {*CURABLE.values(), *FINAL.values(), "gone"} <= CLASS_OF.keys()


def test_what_nobody_knows_to_be_final_is_worth_another_try() -> None:
    assert class_of("http_503") == "transient"


@pytest.mark.parametrize(
    ("reason", "attempts", "retry", "due"),
    [
        ("truncated", 1, None, False),
        ("truncated", 1, "transient", False),
        ("truncated", 1, "all", True),
        ("network", 9, None, False),
        ("network", 9, "transient", True),
        ("network", 1, "poison", False),
        ("hung", 1, None, True),
        ("hung", 2, None, False),
        ("hung", 2, "transient", False),
        ("hung", 2, "poison", True),
    ],
)
def test_only_poison_has_a_second_try_unasked(
    reason: str, attempts: int, retry: Retry | None, due: bool
) -> None:
    assert is_due(class_of(reason), attempts, retry) == due
