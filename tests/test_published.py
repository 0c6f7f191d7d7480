import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcn.models.davenet import ROW_DIM
from mcn.models.published import (
    AvlNet,
    AvlNetTextTri,
    HowTo100M,
    NormalizedGatedUnit,
    PublishedMcn,
)
from mcn.root import REPOSITORY
from tests.test_davenet import batch_norm, published_resdavenet
from tests.test_losses import wave

Shapes = dict[str, tuple[int, ...]]

KEYS_OF_MCN = REPOSITORY.parent / "shared" / "reference" / "mcn_state_dict_keys.txt"


def linear(name: str, out_dim: int, in_dim: int) -> Shapes:
    return {f"{name}.weight": (out_dim, in_dim), f"{name}.bias": (out_dim,)}


def gated_unit(name: str, in_dim: int, out_dim: int) -> Shapes:
    return linear(f"{name}.fc", out_dim, in_dim) | linear(f"{name}.cg.fc", out_dim, out_dim)


def published_avlnet(video: int = 4096, dim: int = 4096) -> Shapes:
    keys = {f"DAVEnet.{name}": shape for name, shape in published_resdavenet().items()}
    keys |= linear("DAVEnet_projection", dim, 1024) | gated_unit("GU_audio", 1024, 1024)
    return keys | gated_unit("GU_video", video, dim)


def published_avlnet_text_tri(video: int = 4096, words: int = 300, dim: int = 6144) -> Shapes:
    keys = published_avlnet(video, dim) | linear("text_pooling_caption.fc", dim, words)
    return keys | gated_unit("GU_text_captions", dim, dim)


def published_mcn(
    video: int = 4096, words: int = 300, dim: int = 6144, reconstruction: int = 1024
) -> Shapes:
    keys = published_avlnet_text_tri(video, words, dim)
    for modality, target in (("v", video), ("a", 1024), ("t", dim)):
        keys |= linear(f"recon_{modality}.0", reconstruction, dim)
        keys |= linear(f"recon_{modality}.2", target, reconstruction)
    return keys


def published_howto100m(
    video: int = 4096, words: int = 300, sentence: int = 6144, dim: int = 6144
) -> Shapes:
    keys = linear("text_pooling.fc", sentence, words)
    for name, in_dim in (("GU_text", sentence), ("GU_video", video)):
        keys |= gated_unit(name, in_dim, dim) | batch_norm(f"{name}.cg.batch_norm", dim)
    return keys


def shapes(model: nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def mcn() -> PublishedMcn:
    return PublishedMcn(video_dim=8, word_dim=5, embedding_dim=16, reconstruction_dim=4)


class RowsThatCount(nn.Module):
    """Stands for DAVEnet: a row for every sixteen frames begun, and row t is t everywhere."""

    def forward(self, log_mel: Tensor) -> Tensor:
        rows = -(-log_mel.shape[2] // 16)
        return torch.arange(float(rows)).expand(len(log_mel), ROW_DIM, rows)


@pytest.fixture(scope="module")
def counting_mcn(mcn: PublishedMcn) -> PublishedMcn:
    counting = copy.deepcopy(mcn)
    counting.add_module("DAVEnet", RowsThatCount())
    return counting


def test_mcn_at_full_size_has_the_159_published_entries() -> None:
    with torch.device("meta"):
        model = PublishedMcn(
            video_dim=4096, word_dim=300, embedding_dim=6144, reconstruction_dim=1024
        )
    assert shapes(model) == published_mcn()
    assert len(published_mcn()) == 159
    assert sum(parameter.numel() for parameter in model.parameters()) == 223_776_770


def test_the_159_entries_are_those_of_the_list_of_the_published_file() -> None:
    if not KEYS_OF_MCN.exists():
        pytest.skip("the list is not at hand")
    lines = [line for line in KEYS_OF_MCN.read_text().splitlines() if " (" in line]
    listed = {}
    for line in lines:
        name, _, rest = line.partition(" (")
        sizes = rest.partition(")")[0].split(",")
        listed[name] = tuple(int(size) for size in sizes if size.strip())
    assert listed == published_mcn()


def test_the_other_models_have_the_published_entries() -> None:
    with torch.device("meta"):
        tri = AvlNetTextTri(video_dim=4096, word_dim=300, embedding_dim=6144)
        avlnet = AvlNet(video_dim=4096, embedding_dim=4096)
        howto = HowTo100M(video_dim=4096, word_dim=300, sentence_dim=6144, embedding_dim=6144)
    assert shapes(tri) == published_avlnet_text_tri()
    assert shapes(avlnet) == published_avlnet()
    assert shapes(howto) == published_howto100m()


def plain_gated(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = F.linear(x, state[f"{name}.fc.weight"], state[f"{name}.fc.bias"])
    return y * F.linear(y, state[f"{name}.cg.fc.weight"], state[f"{name}.cg.fc.bias"]).sigmoid()


def plain_decoded(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    hidden = F.linear(x, state[f"{name}.0.weight"], state[f"{name}.0.bias"]).relu()
    return F.linear(hidden, state[f"{name}.2.weight"], state[f"{name}.2.bias"]).relu()


@pytest.mark.parametrize("is_training", [True, False])
@torch.no_grad()
def test_mcn_computes_the_published_formulas(mcn: PublishedMcn, is_training: bool) -> None:
    model = mcn.train(is_training)
    video, log_mel, words = torch.rand(2, 8), torch.rand(2, 40, 64), torch.randn(2, 3, 5)
    num_frames = torch.tensor([64, 33])
    rows = model.DAVEnet(log_mel)
    audio, video_out, text, error = model(video, log_mel, num_frames, words)

    state = model.state_dict()
    kept = [4, 4] if is_training else [4, 2]
    pooled = torch.stack([row[:, :n].mean(dim=1) for row, n in zip(rows, kept, strict=True)])
    projection = state["DAVEnet_projection.weight"], state["DAVEnet_projection.bias"]
    plain_audio = F.linear(plain_gated(state, "GU_audio", pooled), *projection)
    plain_video = plain_gated(state, "GU_video", video)
    pool = state["text_pooling_caption.fc.weight"], state["text_pooling_caption.fc.bias"]
    sentence = F.linear(words, *pool).relu().amax(dim=1)
    plain_text = plain_gated(state, "GU_text_captions", sentence)
    plain_error = sum(
        (F.mse_loss(plain_decoded(state, name, x), target, reduction="none").mean(dim=1))
        for name, x, target in (
            ("recon_v", plain_video, video),
            ("recon_a", plain_audio, pooled),
            ("recon_t", plain_text, sentence),
        )
    )
    torch.testing.assert_close(
        (audio, video_out, text, error), (plain_audio, plain_video, plain_text, plain_error)
    )


@pytest.mark.parametrize(
    "num_frames, last_row",
    [(0, 0), (15, 0), (16, 0), (31, 0), (32, 1), (999, 61), (1000, 61), (5000, 62)],
)
@torch.no_grad()
def test_padding_is_left_out_of_the_mean_in_evaluation_and_not_in_training(
    counting_mcn: PublishedMcn, num_frames: int, last_row: int
) -> None:
    model = counting_mcn
    log_mel, counts = torch.zeros(1, 40, 1000), torch.tensor([num_frames])
    mean_up_to = torch.full((1, ROW_DIM), last_row / 2)
    assert torch.equal(model.eval().pool_audio(log_mel, counts), mean_up_to)
    assert torch.equal(model.pool_audio(log_mel, counts), mean_up_to)  # counts are as they were
    assert torch.equal(model.pool_audio(log_mel, counts.int()), mean_up_to)
    assert torch.equal(model.train().pool_audio(log_mel, counts), torch.full((1, ROW_DIM), 31.0))


@torch.no_grad()
def test_a_clip_in_a_padded_batch_embeds_as_it_does_alone(counting_mcn: PublishedMcn) -> None:
    model = counting_mcn.eval()
    batch = model.embed_audio(torch.zeros(2, 40, 1024), torch.tensor([1024, 320]))
    alone = model.embed_audio(torch.zeros(1, 40, 320), torch.tensor([320]))
    torch.testing.assert_close(batch[1:], alone)


def test_the_published_reconstruction_target_learns_too(counting_mcn: PublishedMcn) -> None:
    model = copy.deepcopy(counting_mcn)
    for decoder in (model.recon_v, model.recon_a, model.recon_t):
        for parameter in decoder.parameters():
            nn.init.zeros_(parameter)
    *_, error = model(
        torch.rand(2, 8), torch.zeros(2, 40, 32), torch.tensor([32, 32]), torch.rand(2, 3, 5)
    )
    error.sum().backward()
    gradient = model.text_pooling_caption.fc.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def part_of(whole: nn.Module, part: nn.Module) -> dict[str, Tensor]:
    state = whole.state_dict()
    return {name: state[name] for name in part.state_dict()}


@torch.no_grad()
def test_avlnet_gives_audio_before_video(mcn: PublishedMcn) -> None:
    with torch.device("meta"):
        model = AvlNet(video_dim=8, embedding_dim=16).eval()
    model.load_state_dict(part_of(mcn, model), assign=True)
    video, log_mel, num_frames = torch.rand(2, 8), torch.rand(2, 40, 32), torch.tensor([32, 16])
    audio_out, video_out = model(video, log_mel, num_frames)
    assert torch.equal(video_out, model.GU_video(video))
    torch.testing.assert_close(audio_out, model.embed_audio(log_mel, num_frames))


@torch.no_grad()
def test_avlnet_with_text_is_mcn_without_its_decoders(mcn: PublishedMcn) -> None:
    with torch.device("meta"):
        tri = AvlNetTextTri(video_dim=8, word_dim=5, embedding_dim=16).eval()
    tri.load_state_dict(part_of(mcn, tri), assign=True)
    inputs = (torch.rand(1, 8), torch.rand(1, 40, 32), torch.tensor([20]), torch.rand(1, 3, 5))
    torch.testing.assert_close(tri(*inputs), mcn.eval()(*inputs)[:3])


def test_howto100m_gives_the_published_unit_at_unit_length() -> None:
    unit = NormalizedGatedUnit(3, 2).double()
    state = unit.state_dict() | {
        "fc.weight": wave(2, 3, 0.37, 0.11),
        "fc.bias": torch.tensor([0.1, -0.2]),
        "cg.fc.weight": wave(2, 2, 0.29, 0.23),
        "cg.fc.bias": torch.tensor([0.05, 0.3]),
    }
    unit.load_state_dict(state)
    out = unit(torch.tensor([[1, -1, 0.5]], dtype=torch.float64))
    before = torch.tensor([[0.04995329678058624, -0.09225567430257797]], dtype=torch.float64)
    torch.testing.assert_close(out, before / before.norm(), atol=1e-6, rtol=0)


@torch.no_grad()
def test_howto100m_compares_by_cosine_and_its_batch_norms_take_no_part() -> None:
    model = HowTo100M(video_dim=8, word_dim=5, sentence_dim=6, embedding_dim=16)
    video, words = torch.rand(3, 8), torch.rand(2, 4, 5)
    similarity = model(video, words)
    assert similarity.shape == (2, 3)
    assert similarity.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(model.embed_video(video).norm(dim=1), torch.ones(3))
    for name, value in model.state_dict().items():
        if "batch_norm.weight" in name or "batch_norm.running_mean" in name:
            value.fill_(7.0)
    assert torch.equal(model(video, words), similarity)
