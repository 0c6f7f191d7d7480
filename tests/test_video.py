"""Frames a second apart, and rows of an image network that depend on nothing but their frame."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.feature_extraction import create_feature_extractor

from extractors.batching import Packer
from extractors.media import MediaError, keyframes
from extractors.resize import ResizeConfig, resize_video
from extractors.video import (
    VideoExtractor,
    build_backbone,
    frames_of,
    normalize,
    published_weights,
)
from tests.videos import write_video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    source = write_video(folder / "source.mp4", seconds=3.4)
    resize_video(source, folder / "resized.mp4", ResizeConfig())
    return folder / "resized.mp4"


def test_there_is_a_frame_for_every_second_begun_uncropped(resized: Path) -> None:
    assert frames_of(resized).shape == (4, 3, 224, 397)


def test_frames_are_scaled_to_within_a_grey_level_of_the_exact_way(resized: Path) -> None:
    for frame, (_, picture) in zip(frames_of(resized), keyframes(resized), strict=True):
        exact = F.interpolate(
            torch.from_numpy(picture).permute(2, 0, 1)[None].float(),
            (224, 397),
            mode="bilinear",
            antialias=True,
        )[0]
        assert (frame.float() - exact).abs().max() <= 1.0


def test_a_video_without_a_keyframe_every_second_is_refused(tmp_path: Path) -> None:
    raw = write_video(tmp_path / "raw.mkv", seconds=4.0, fps=24, video_starts_at=0.4)
    with pytest.raises(MediaError) as caught:
        frames_of(raw)
    assert caught.value.reason == "keyframes" and "jobs/resize.py" in str(caught.value)


def test_a_video_cut_off_after_it_was_resized_is_refused(tmp_path: Path, resized: Path) -> None:
    content = resized.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(MediaError, match="of 4 frames") as caught:
        frames_of(path)
    assert caught.value.reason == "truncated"


def test_tall_frames_are_scaled_by_their_width(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=0.2)
    config = ResizeConfig(width=120, height=200)
    resize_video(source, tmp_path / "tall.mp4", config)
    assert frames_of(tmp_path / "tall.mp4").shape == (1, 3, 373, 224)


def rows_of(extractor: VideoExtractor, videos: list[torch.Tensor]) -> torch.Tensor:
    packer = Packer(extractor, batch_size=4)
    for number, frames in enumerate(videos):
        packer.add(frames)
        packer.end(f"video{number}")
    packer.flush()
    return torch.cat([rows for _, rows in packer.finished() if isinstance(rows, torch.Tensor)])


def test_a_row_depends_neither_on_its_place_nor_on_its_neighbours() -> None:
    torch.manual_seed(0)
    extractor = VideoExtractor(build_backbone("resnet18"), batch_size=4)
    frames = torch.randint(256, (7, 3, 64, 96), dtype=torch.uint8)
    together = rows_of(extractor, [frames[:3], frames[3:4], frames[4:]])
    singly = torch.cat([rows_of(extractor, [frames[k : k + 1]]) for k in range(7)])
    assert torch.equal(together, singly)


def test_rows_are_those_of_torchvisions_network_before_its_classifier(resized: Path) -> None:
    torch.manual_seed(0)
    network = build_backbone("resnet18").eval()
    frames = frames_of(resized)
    with torch.inference_mode():
        inside = create_feature_extractor(network, {"flatten": "rows"})
        expected = inside(normalize(frames, CPU))["rows"]
    extractor = VideoExtractor(network, batch_size=len(frames))
    rows = extractor(frames)
    assert rows.shape == (4, 512) == (4, extractor.dim)
    assert F.cosine_similarity(rows, expected).min() > 0.999  # bfloat16 against float32


@pytest.mark.parametrize("name, dim", [("mobilenet_v3_small", 1024), ("densenet121", 1024)])
def test_other_backbones_are_had_by_name(name: str, dim: int) -> None:
    extractor = VideoExtractor(build_backbone(name), batch_size=1)
    assert extractor(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, dim)


def test_an_unknown_backbone_is_an_error_that_says_where_the_names_are() -> None:
    with pytest.raises(ValueError, match="list_models"):
        build_backbone("resnet153")


def test_a_network_without_a_linear_layer_cannot_give_rows() -> None:
    with pytest.raises(ValueError, match="does not end in a linear layer"):
        VideoExtractor(build_backbone("squeezenet1_1"))


def test_published_weights_have_an_address_or_are_not_offered() -> None:
    assert published_weights("resnet152")["imagenet"].endswith(".pth")
    assert published_weights("vit_h_14") == {}


@pytest.mark.gpu
def test_a_gpu_gives_the_rows_of_the_cpu(resized: Path) -> None:
    torch.manual_seed(0)
    extractor = VideoExtractor(build_backbone("resnet18"), batch_size=4)
    assert extractor.device.type == "cuda"
    rows = extractor(frames_of(resized)).cpu()
    extractor.device = CPU
    extractor.network.to(CPU)
    assert F.cosine_similarity(rows, extractor(frames_of(resized))).min() > 0.999
