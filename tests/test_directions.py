import pytest
import torch

from mcn.evaluation.directions import BY_SENTENCES, DIRECTIONS, spaces_of_directions
from mcn.evaluation.retrieval import ranks
from mcn.evaluation.zero_shot import ClipEmbeddings
from mcn.modality import MODALITIES, Modality, Space
from mcn.models.mmv import PATHS

MODALITY_OF: dict[str, Modality] = {"t": "text", "v": "video", "a": "audio"}
NUM_CLIPS = 9


def embedded(together: tuple[Modality, ...] = MODALITIES, dim: int = 4) -> ClipEmbeddings:
    """Clips of which some lack one thing, some another, and one lacks all."""
    lack = {"video": (2, 5, 8), "audio": (3, 5, 8), "text": (4, 8)}
    has = {m: torch.tensor([k not in lack[m] for k in range(NUM_CLIPS)]) for m in together}
    torch.manual_seed(3)
    rows: dict[Modality, torch.Tensor] = {m: torch.randn(NUM_CLIPS, dim) for m in MODALITIES}
    return ClipEmbeddings(
        [f"v{k}" for k in range(NUM_CLIPS)],
        torch.zeros(NUM_CLIPS, 2, dtype=torch.float64),
        {m: rows[m] * has[m][:, None] for m in together},
        has,
    )


def slow_ranks(clips: ClipEmbeddings, name: str) -> list[int]:
    """By the name alone, clip by clip: what is asked with before the 2, what is found behind."""
    query, items = ([MODALITY_OF[letter] for letter in side] for side in name.split("2"))

    def score(asked: int, found: int) -> float:
        return sum(
            float(clips.embeddings[q][asked] @ clips.embeddings[i][found])
            for q in query
            for i in items
        )

    def has(clip: int, modalities: list[Modality]) -> bool:
        return all(bool(clips.has[modality][clip]) for modality in modalities)

    found = []
    for asked in range(NUM_CLIPS):
        others = [k for k in range(NUM_CLIPS) if k != asked]
        if not has(asked, query):
            found.append(NUM_CLIPS)
        elif not has(asked, items):
            found.append(len(others))  # whatever else there is comes first
        else:
            rivals = [score(asked, other) for other in others if has(other, items)]
            found.append(sum(rival >= score(asked, asked) for rival in rivals))
    return found


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_direction_is_that_of_a_plain_loop_over_its_name(direction: str) -> None:
    clips = embedded()
    assert ranks(clips.similarity(direction)).tolist() == slow_ranks(clips, direction)


def test_what_is_missing_on_either_side_is_counted() -> None:
    clips = embedded()
    assert {d: (clips.num_unasked(d), clips.num_missing(d)) for d in DIRECTIONS} == {
        "t2va": (2, 4),
        "t2v": (2, 3),
        "t2a": (2, 3),
        "va2t": (4, 2),
        "v2t": (3, 2),
        "a2t": (3, 2),
        "v2a": (3, 3),
        "a2v": (3, 3),
    }


@pytest.mark.parametrize("direction", ["t2a", "va2t", "t2va", "a2t"])
def test_a_space_that_lacks_a_side_says_which_and_what_to_train(direction: str) -> None:
    with pytest.raises(ValueError, match=f"{direction}: .* cannot be compared .*--space fac"):
        embedded(("video", "text")).similarity(direction)


def spaces_of(
    arrangement: dict[tuple[Modality, Space], tuple[str, ...]],
) -> dict[Space, tuple[Modality, ...]]:
    spaces = dict.fromkeys(space for _, space in arrangement)
    return {s: tuple(m for m in MODALITIES if (m, s) in arrangement) for s in spaces}


def test_each_direction_is_compared_in_the_finest_space_that_holds_both_sides() -> None:
    fac = spaces_of_directions(spaces_of(PATHS["fac"]))
    assert fac == {**dict.fromkeys(DIRECTIONS, "coarse"), "v2a": "fine", "a2v": "fine"}
    turned = dict(reversed(spaces_of(PATHS["fac"]).items()))
    assert spaces_of_directions(turned) == fac, "whatever the model lists first"
    assert spaces_of_directions(spaces_of(PATHS["shared"])) == dict.fromkeys(DIRECTIONS, "joint")
    assert spaces_of_directions(spaces_of(PATHS["disjoint"])) == {
        **dict.fromkeys(("t2v", "v2t"), "video-text"),
        **dict.fromkeys(("v2a", "a2v"), "video-audio"),
    }
    assert spaces_of_directions({}) == {}


def test_sentences_ask_in_three_directions() -> None:
    assert BY_SENTENCES == ("t2va", "t2v", "t2a")
