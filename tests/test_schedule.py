import pytest

from mcn.training.schedule import warmup_cosine


@pytest.mark.parametrize(
    "step, published",
    [(0, 0.0), (1, 0.1), (5, 0.5), (10, 1.0), (55, 0.5), (99, 0.00030458649045211894), (100, 0.0)],
)
def test_the_schedule_gives_the_published_factors(step: int, published: float) -> None:
    assert warmup_cosine(step, warmup=10, total=100) == pytest.approx(published, abs=1e-12)


def test_the_schedule_does_not_rise_again_after_its_end() -> None:
    assert [warmup_cosine(step, warmup=10, total=100) for step in (101, 150, 200)] == [0.0] * 3


@pytest.mark.parametrize("total", [0, 5, 10])
def test_a_warm_up_that_is_not_over_at_the_end_ends_there(total: int) -> None:
    factors = [warmup_cosine(step, warmup=10, total=total) for step in range(30)]
    assert factors == [step / 10 if step < total else 0.0 for step in range(30)]


def test_a_step_before_the_first_is_an_error() -> None:
    with pytest.raises(ValueError, match="step -1"):
        warmup_cosine(-1, warmup=10, total=100)
