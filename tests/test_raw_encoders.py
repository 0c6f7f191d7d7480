"""The networks that look at pictures and listen to spectrograms."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.models import resnet18
from torchvision.models.video import r2plus1d_18

from mcn.models.batch_norm import ClipBatchNorm
from mcn.models.raw_encoders import SoundNetwork, VideoNetwork, load_video_weights
from mcn.training.distributed import process_group
from slurm.local import run_ranks

HAS = torch.tensor([True, False, True, True, True])
VOLUMES = torch.randn(5, 3, 5, 7, 6, generator=torch.Generator().manual_seed(0)).double()
WEIGHTS = torch.randn(5, 4, 1, 3, 2, generator=torch.Generator().manual_seed(1)).double()


def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (5, 4, 24, 24, 3), dtype=torch.uint8, generator=generator)


def decibels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return -80 * torch.rand(5, 40, 64, generator=generator).half()


def new(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind()


CASES = [(VideoNetwork, pictures), (SoundNetwork, decibels)]
NAMES = ["video", "sound"]


def outcome(network: nn.Module, clips: Tensor, has: Tensor) -> dict[str, Tensor]:
    """Rows, gradients of a loss, and what the batch norms remember."""
    rows = network(clips, has)
    weights = torch.randn(5, 512, generator=torch.Generator().manual_seed(1))[: len(rows)]
    (rows * weights).sum().backward()
    grads = {f"grad {k}": v.grad for k, v in network.named_parameters() if v.grad is not None}
    return {"rows": rows.detach(), **grads, **network.state_dict()}


@pytest.mark.parametrize("kind, clips", CASES, ids=NAMES)
def test_clips_that_lack_the_modality_are_in_no_statistics(
    kind: type[nn.Module], clips: Callable[[], Tensor]
) -> None:
    some, others = clips(), clips()
    others[1] = 0
    one, other = outcome(new(kind), some, HAS), outcome(new(kind), others, HAS)
    assert all(value.equal(other[name]) for name, value in one.items())
    assert not one["rows"][1].any() and one["rows"][HAS].any(dim=1).all()
    present = new(kind)
    assert present(some[HAS], HAS[HAS]).equal(one["rows"][HAS])


@pytest.mark.parametrize("kind, clips", CASES, ids=NAMES)
def test_a_batch_without_the_modality_moves_nothing(
    kind: type[nn.Module], clips: Callable[[], Tensor]
) -> None:
    network = new(kind)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    after = outcome(network, clips(), torch.zeros(5, dtype=torch.bool))
    assert not after["rows"].any()
    assert all(v.equal(after[k]) for k, v in before.items() if "num_batches" not in k)
    assert not any(value.any() for name, value in after.items() if name.startswith("grad"))


@pytest.mark.parametrize("kind, clips", CASES, ids=NAMES)
def test_the_same_step_has_the_same_bits(
    kind: type[nn.Module], clips: Callable[[], Tensor]
) -> None:
    one, other = (outcome(new(kind), clips(), HAS) for _ in range(2))
    assert all(value.equal(other[name]) for name, value in one.items())


def test_pictures_are_seen_as_torchvision_would_have_them_seen(tmp_path: Path) -> None:
    theirs = r2plus1d_18().eval()
    torch.save(theirs.state_dict(), tmp_path / "r2plus1d_18.pth")
    network = VideoNetwork().eval()
    load_video_weights(network, tmp_path / "r2plus1d_18.pth")
    theirs.fc = nn.Identity()
    mean, std = (
        torch.tensor([0.43216, 0.394666, 0.37645]),
        torch.tensor([0.22803, 0.22145, 0.216989]),
    )
    normalised = ((pictures().float() / 255 - mean) / std).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(network(pictures(), HAS)[HAS], theirs(normalised)[HAS])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(ValueError, match="does not hold weights of torchvision's r2plus1d_18"):
        load_video_weights(VideoNetwork(), tmp_path / "resnet18.pth")


def test_silence_that_follows_a_sound_changes_it_less_than_noise_would() -> None:
    network = new(SoundNetwork).eval()
    silent, loud = decibels(), decibels()
    silent[:, :, 60:], loud[:, :, 60:] = -80, 0
    sound = network(silent[:, :, :60], HAS)
    assert (network(silent, HAS) - sound).norm() < (network(loud, HAS) - sound).norm()


def normed() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv3d(3, 4, 3), ClipBatchNorm(4), nn.ReLU(), nn.Conv3d(4, 4, 3), ClipBatchNorm(4)
    return nn.Sequential(*layers).double()


def run_rank(results: Path) -> None:
    """Two steps: in the second rank 1 has no clips."""
    rank = int(os.environ["RANK"])
    with process_group():
        network = DistributedDataParallel(normed())
        for share in (slice(0, 3), slice(3, 5)), (slice(0, 5), slice(5, 5)):
            maps = network(VOLUMES[share[rank]])
            (2 * (maps * WEIGHTS[share[rank]]).sum()).backward()  # DDP takes the mean
    grads = {f"grad {k}": v.grad for k, v in network.module.named_parameters()}
    torch.save({**grads, **network.module.state_dict()}, results / f"{rank}.pt")


def test_batch_norms_are_over_the_clips_of_all_ranks(tmp_path: Path) -> None:
    run_ranks(partial(run_rank, tmp_path), num_ranks=2)
    network = normed()
    for _ in range(2):
        (network(VOLUMES) * WEIGHTS).sum().backward()
    expected = {f"grad {k}": v.grad for k, v in network.named_parameters()} | network.state_dict()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], msg=name)
