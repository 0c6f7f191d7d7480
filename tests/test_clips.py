"""Clips of 16 frames at 24 a second, and rows of a video network that depend on nothing else."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from extractors.batching import Packer
from extractors.clips import (
    ClipExtractor,
    ClipPreset,
    build_clip_network,
    clips_of,
    normalize_clips,
    published_clip_weights,
)
from extractors.media import MediaError
from extractors.moving_pictures import moving_pictures_of
from extractors.resize import ResizeConfig, resize_video
from extractors.streams import MovingPictures
from tests.videos import write_video

CPU = torch.device("cpu")
FORM = ClipPreset.of("r2plus1d_18")
SMALL = ClipPreset(size=(20, 24), crop=(16, 16), mean=FORM.mean, std=FORM.std)


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    source = write_video(folder / "source.mp4", seconds=3.4)
    resize_video(source, folder / "resized.mp4", ResizeConfig(preset="ultrafast"))
    return folder / "resized.mp4"


def pictures(path: Path, wanted: MovingPictures) -> np.ndarray:
    return np.concatenate(list(moving_pictures_of(path, wanted)))


def test_frames_are_those_on_the_screen_at_each_tick(resized: Path) -> None:
    whole = MovingPictures(fps=24, size=(256, 454), crop=(256, 454))
    with av.open(str(resized)) as container:
        all_frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    shown = [int(Fraction(tick, 24) * 30) for tick in range(82)]  # of 3.4 s
    np.testing.assert_array_equal(
        pictures(resized, whole), np.stack([all_frames[number] for number in shown])
    )


def test_a_slower_film_shows_its_frames_more_than_once(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=1.0, fps=6)
    resize_video(source, tmp_path / "slow.mp4", ResizeConfig(fps=6, preset="ultrafast"))
    frames = pictures(tmp_path / "slow.mp4", FORM.stream)
    assert len(frames) == 24
    for k in range(0, 24, 4):
        assert (frames[k : k + 4] == frames[k]).all()


def test_frames_are_scaled_and_cut_as_torchvision_does_it(resized: Path) -> None:
    whole = MovingPictures(fps=24, size=(256, 454), crop=(256, 454))
    transform = torchvision.models.video.R2Plus1D_18_Weights.KINETICS400_V1.transforms()
    transform.antialias = True
    theirs = transform(torch.from_numpy(pictures(resized, whole)[:16]).permute(0, 3, 1, 2))
    ours = normalize_clips(torch.from_numpy(pictures(resized, FORM.stream)[:16])[None], FORM, CPU)
    assert ours.shape == (1, 3, 16, 112, 112) == (1, *theirs.shape)
    grey_level = 1 / 255 / min(FORM.std)
    assert (ours[0] - theirs).abs().mean() < grey_level


def test_black_frames_fill_up_the_last_clip() -> None:
    clips = clips_of(torch.full((17, 2, 2, 3), 9, dtype=torch.uint8))
    assert clips.shape == (2, 16, 2, 2, 3)
    assert (clips[0] == 9).all() and (clips[1, 0] == 9).all() and not clips[1, 1:].any()


def test_a_file_that_shows_nothing_is_undecodable(tmp_path: Path, resized: Path) -> None:
    content = bytearray(resized.read_bytes())
    start = content.index(b"mdat")
    content[start + 4 :] = bytes(len(content) - start - 4)
    blind = tmp_path / "blind.mp4"
    blind.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        pictures(blind, FORM.stream)
    assert caught.value.reason == "undecodable"


def test_clips_of_a_long_video_are_the_same_some_at_a_time(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mkv", seconds=7, width=64, height=48, sample_rate=None)
    resize_video(source, tmp_path / "video.mp4", ResizeConfig(width=64, height=48))
    some = [
        torch.from_numpy(some) for some in moving_pictures_of(tmp_path / "video.mp4", SMALL.stream)
    ]
    assert [len(each) for each in some] == [64, 64, 40]
    assert torch.equal(torch.cat([clips_of(each) for each in some]), clips_of(torch.cat(some)))


def test_a_row_depends_neither_on_its_place_nor_on_its_neighbours() -> None:
    torch.manual_seed(0)
    extractor = ClipExtractor(build_clip_network("r3d_18"), SMALL, batch_size=2)
    clips = torch.randint(256, (4, 16, 16, 16, 3), dtype=torch.uint8)

    def rows_of(videos: list[torch.Tensor]) -> torch.Tensor:
        packer = Packer(extractor, extractor.batch_size)
        for number, video in enumerate(videos):
            packer.add(video)
            packer.end(f"video{number}")
        packer.flush()
        return torch.cat([rows for _, rows in packer.finished() if isinstance(rows, torch.Tensor)])

    singly = torch.cat([rows_of([clips[k : k + 1]]) for k in range(4)])
    assert torch.equal(rows_of([clips[:1], clips[1:]]), singly)


def test_rows_are_those_of_torchvisions_network_before_its_classifier() -> None:
    torch.manual_seed(0)
    network = build_clip_network("r3d_18").eval()
    clips = torch.randint(256, (1, 16, 16, 16, 3), dtype=torch.uint8)
    with torch.inference_mode():
        inside = create_feature_extractor(network, {"flatten": "rows"})
        expected = inside(normalize_clips(clips, SMALL, CPU))["rows"]
    extractor = ClipExtractor(network, SMALL, batch_size=1)
    rows = extractor(clips)
    assert rows.shape == (1, 512) == (1, extractor.dim)
    assert F.cosine_similarity(rows, expected).min() > 0.999  # bfloat16 against float32


@pytest.mark.parametrize("name, dim", [("s3d", 1024), ("mvit_v2_s", 768), ("swin3d_t", 768)])
def test_networks_that_end_otherwise_give_rows_too(name: str, dim: int) -> None:
    extractor = ClipExtractor(build_clip_network(name), ClipPreset.of(name))
    assert extractor.dim == dim
    left = [type(module).__name__ for module in list(extractor.network.children())[-1:]]
    assert left == ["Identity"]


def test_an_unknown_network_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"none of that name.*r2plus1d_18"):
        ClipPreset.of("resnet152")


def test_published_weights_are_those_of_kinetics() -> None:
    assert published_clip_weights("r2plus1d_18")["kinetics400"].endswith("r2plus1d_18-91a641e6.pth")
