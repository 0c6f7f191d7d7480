import math

import torch

from mcn.models.gated import GatedEmbeddingUnit, SentenceMaxPool
from tests.test_losses import wave


def published_unit() -> GatedEmbeddingUnit:
    unit = GatedEmbeddingUnit(3, 2).double()
    unit.load_state_dict(
        {
            "fc.weight": wave(2, 3, 0.37, 0.11),
            "fc.bias": torch.tensor([0.1, -0.2]),
            "cg.fc.weight": wave(2, 2, 0.29, 0.23),
            "cg.fc.bias": torch.tensor([0.05, 0.3]),
        }
    )
    return unit


def published_pool() -> SentenceMaxPool:
    pool = SentenceMaxPool(3, 2).double()
    pool.load_state_dict(
        {"fc.weight": wave(2, 3, 0.37, 0.11), "fc.bias": torch.tensor([0.1, -0.2])}
    )
    return pool


def test_the_gated_unit_gives_the_published_numbers() -> None:
    out = published_unit()(torch.tensor([[1, -1, 0.5]], dtype=torch.float64))
    expected = torch.tensor([[0.04995329678058624, -0.09225567430257797]], dtype=torch.float64)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_the_word_pool_gives_the_published_numbers_with_a_zero_row_as_padding() -> None:
    words = wave(4, 3, 0.29, 0.23)
    words[3] = 0
    expected = torch.tensor([[0.40827783942222595, 1.5948827266693115]], dtype=torch.float64)
    torch.testing.assert_close(published_pool()(words[None]), expected, atol=1e-6, rtol=0)


def test_masked_padding_takes_no_part() -> None:
    pool, words = published_pool(), wave(4, 3, 0.29, 0.23)
    padded = torch.cat((words, torch.zeros(2, 3)))[None]
    is_word = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(pool(padded, is_word), pool(words[None]))
    assert torch.equal(pool(padded, torch.zeros_like(is_word)), torch.zeros(1, 2).double())


def test_padding_may_hold_what_is_not_finite() -> None:
    words = wave(4, 3, 0.29, 0.23)
    is_word = torch.tensor([[True] * 4 + [False] * 2])
    gradients = []
    for padding in (0.0, math.nan, math.inf):
        pool = published_pool()
        padded = torch.cat((words, torch.full((2, 3), padding)))[None]
        pooled = pool(padded, is_word)
        assert torch.equal(pooled, pool(words[None]))
        pooled.square().sum().backward()
        gradients.append([parameter.grad for parameter in pool.parameters()])
    of_zeros, *others = gradients
    for of_others in others:
        torch.testing.assert_close(of_others, of_zeros, rtol=0, atol=0)


def test_no_word_is_worth_nothing() -> None:
    pool = published_pool()
    for is_word in (None, torch.zeros(2, 0, dtype=torch.bool)):
        pooled = pool(torch.zeros(2, 0, 3).double(), is_word)
        assert torch.equal(pooled, torch.zeros(2, 2).double())
        pooled.sum().backward()
