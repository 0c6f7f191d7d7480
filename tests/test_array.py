import pytest

from slurm.array import Array, range_text


@pytest.mark.parametrize(
    "text, indices, max_running",
    [
        ("7", (7,), None),
        ("0-2", (0, 1, 2), None),
        ("4-6%2", (4, 5, 6), 2),
        ("3,7,20-22,7", (3, 7, 20, 21, 22), None),
        ("3-20:17,0-5:2%4", (0, 2, 3, 4, 20), 4),
    ],
)
def test_an_array_is_read_as_slurm_writes_it(
    text: str, indices: tuple[int, ...], max_running: int | None
) -> None:
    assert Array.parse(text) == Array(indices, max_running)


@pytest.mark.parametrize(
    "text", ["", "a", "3-1", "1-", "-1", "1,,2", "0-9%0", "0-9%", "0:9", "0-9:0", "0-9:"]
)
def test_what_is_no_array_is_an_error_that_shows_how(text: str) -> None:
    with pytest.raises(ValueError, match="--array"):
        Array.parse(text)


@pytest.mark.parametrize("text", ["7", "0-2", "3,7,20-22", "0-1,3-4,6"])
def test_indices_are_written_as_they_are_read(text: str) -> None:
    assert range_text(reversed(Array.parse(text).indices)) == text
