import dataclasses

import pytest

from mcn.store.fingerprint import Fingerprint
from mcn.store.plan import ShardPlan
from tests.shards import TEXT, VIDEO


@pytest.mark.parametrize("fingerprint", [VIDEO, TEXT])
def test_json_brings_a_fingerprint_back(fingerprint: Fingerprint) -> None:
    assert Fingerprint.from_json(fingerprint.to_json()) == fingerprint


def test_the_order_of_the_recipe_does_not_matter() -> None:
    other = dataclasses.replace(VIDEO, recipe=dict(reversed(VIDEO.recipe.items())))
    assert other.digest() == VIDEO.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"extractor": "resnet50"},
        {"weights_sha256": "2" * 64},
        {"dim": 8},
        {"rows_per_second": 1.5},
        {"recipe": {"short_side": 256, "version": 1}},
        {"recipe": {"version": 1}},
        {"recipe": {"short_side": 224.0, "version": 1}},
    ],
)
def test_every_part_counts_and_is_named(change: dict[str, object]) -> None:
    other = dataclasses.replace(VIDEO, **change)  # type: ignore[arg-type]
    assert other.digest() != VIDEO.digest()
    (name,) = change
    assert name.split(".")[0] in VIDEO.differences(other)


def test_equal_fingerprints_have_no_differences() -> None:
    assert VIDEO.differences(VIDEO) == ""


@pytest.mark.parametrize("ids", [[], ["a", "b", "a"], ["a", ""], ["a\0"], ["\udce4"]])
def test_impossible_plans_are_refused(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="video"):
        ShardPlan(ids, VIDEO)


def test_ids_may_be_any_text() -> None:
    ids = ["-dash", "with blank", "quote'\"", "../path", "a\tb", "\u30d3\u30c7\u30aa", "\u202f"]
    assert ShardPlan(ids, VIDEO).video_ids == ids
