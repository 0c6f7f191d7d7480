"""DAVEnet in front of the audio encoder: what counts of a spectrogram, and what does not."""

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from mcn.data.batches import ClipBatch, clips_that_lack_all, collate
from mcn.data.clip_form import AudioPadding, ClipForm
from mcn.modality import Modality
from mcn.models.audio_encoder import SpectrogramEncoder
from mcn.models.batch_norm import BatchNorm
from mcn.models.davenet import Davenet, ResDavenet
from mcn.models.published import AvlNet

NETWORKS = pytest.mark.parametrize("make", [Davenet, ResDavenet])
Make = type[Davenet] | type[ResDavenet]
FORM = ClipForm(spectrogram_frames=96)


def spectrograms(*num_frames: int) -> list[Tensor]:
    return [-80 * torch.rand(40, frames) for frames in num_frames]


def padded(mels: list[Tensor], frames: int, value: float) -> Tensor:
    return torch.stack([nn.functional.pad(m, (0, frames - m.shape[1]), value=value) for m in mels])


def counts(mels: list[Tensor]) -> Tensor:
    return torch.tensor([mel.shape[1] for mel in mels])


def batch_of(mels: list[Tensor | None], form: ClipForm) -> ClipBatch:
    dims: dict[Modality, int] = {"video": 2, "audio": 40, "text": 2}
    nothing = clips_that_lack_all(len(mels), dims, max_words=1)
    heard = [None if mel is None else mel.T.numpy() for mel in mels]
    return collate([replace(nothing, audio=heard)], form)


@NETWORKS
@torch.inference_mode()
def test_rows_are_those_of_the_spectrogram_alone_however_it_is_padded(make: Make) -> None:
    network, mels = make().eval(), spectrograms(90, 33, 64)
    for frames, value in ((90, -80.0), (130, 0.0), (130, 77.0)):
        rows = network(padded(mels, frames, value), counts(mels))
        for own, mel in zip(rows, mels, strict=True):
            alone = network(mel[None])[0]
            rounding = 1e-5 * float(alone.abs().max())
            torch.testing.assert_close(own[:, : alone.shape[1]], alone, rtol=1e-4, atol=rounding)


@NETWORKS
def test_in_training_padding_has_no_part_in_batch_norms(make: Make) -> None:
    network, mels = make(), spectrograms(60, 33)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    outcomes = []
    for frames, value in ((60, -80.0), (100, 55.0)):
        network.load_state_dict(before)
        network.zero_grad()
        rows = network(padded(mels, frames, value), counts(mels))
        loss = sum(
            (rows[clip, :, : -(-m.shape[1] // 16)] ** 2).mean() for clip, m in enumerate(mels)
        )
        cast(Tensor, loss).backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        outcomes.append([*gradients, *(b.clone() for b in network.buffers())])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(one.abs().max()))


@NETWORKS
def test_where_all_is_sound_it_is_the_network_without_lengths(make: Make) -> None:
    network, mel = make(), torch.stack(spectrograms(48, 48, 48))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = network(mel)
    moved = [buffer.clone() for buffer in network.buffers()]
    network.load_state_dict(before)
    torch.testing.assert_close(network(mel, torch.full((3,), 48)), plain, rtol=1e-4, atol=1e-4)
    for one, other in zip(network.buffers(), moved, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_batch_norm_is_that_of_its_sound_put_together() -> None:
    x = torch.randn(3, 4, 2, 9, dtype=torch.float64, requires_grad=True)
    is_sound = (torch.arange(9) < torch.tensor([[9], [0], [4]]))[:, None, None]
    ours, slow = BatchNorm(4).double(), nn.BatchNorm2d(4).double()
    for norm in (ours, slow):
        norm.weight.data = torch.tensor([1.0, 2, 0.5, -1]).double()
        norm.bias.data = torch.tensor([0.0, 1, -1, 3]).double()
    together = torch.cat([x[0], x[2, :, :, :4]], dim=2)[None]
    expected = slow(together)
    normalised = ours(x, is_sound)
    torch.testing.assert_close(normalised[0], expected[0, :, :, :9])
    torch.testing.assert_close(normalised[2, :, :, :4], expected[0, :, :, 9:])
    assert not normalised[1].any() and not normalised[2, :, :, 4:].any()
    torch.testing.assert_close(ours.running_mean, slow.running_mean)
    torch.testing.assert_close(ours.running_var, slow.running_var)
    parameters = (x, ours.weight, ours.bias)
    assert torch.autograd.gradcheck(lambda *_: ours(x, is_sound), parameters)


def test_clips_without_sound_count_for_nothing() -> None:
    encoder = SpectrogramEncoder("resdavenet", FORM, embedding_dim=4)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    broken = torch.full((40, 20), torch.nan)
    one, other = spectrograms(40, 20)
    encoder(batch_of([one, None, broken, other], FORM))
    with_them = [buffer.clone() for buffer in encoder.buffers()]
    encoder.load_state_dict(before)
    encoder(batch_of([one, other], FORM))
    for value, expected in zip(with_them, encoder.buffers(), strict=True):
        torch.testing.assert_close(value, expected)
    encoder.load_state_dict(before)
    embeddings, features = encoder(batch_of([None, broken], FORM))
    assert not features.any() and embeddings.isfinite().all()
    for name, value in encoder.state_dict().items():
        assert "tracked" in name or torch.equal(value, before[name])


@pytest.mark.parametrize("is_training", [True, False])
def test_published_padding_is_heard_as_the_published_model_hears_it(is_training: bool) -> None:
    published = AvlNet(video_dim=3, embedding_dim=4)
    form = replace(FORM, audio_padding="published")
    encoder = SpectrogramEncoder("resdavenet", form, embedding_dim=4)
    encoder.davenet.load_state_dict(published.DAVEnet.state_dict())
    mels = spectrograms(70, 10, 96)
    batch = batch_of([*mels], form)
    assert batch.audio.shape == (3, 40, 96) and (batch.audio[0, :, 70:] == 0).all()
    encoder.train(is_training)
    published.train(is_training)
    with torch.no_grad():
        _, features = encoder(batch)
        expected = published.pool_audio(batch.audio.float(), counts(mels))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["silence", "published"])
@torch.inference_mode()
def test_at_rest_a_clip_is_the_same_alone_and_among_many(padding: AudioPadding) -> None:
    form = replace(FORM, audio_padding=padding)
    encoder = SpectrogramEncoder("davenet", form, embedding_dim=4).eval()
    mels = spectrograms(*range(10, 80))
    together, _ = encoder(batch_of([*mels], form))
    for clip in (0, 33, 66, 69):
        alone, _ = encoder(batch_of([mels[clip]], form))
        torch.testing.assert_close(together[clip], alone[0])
