"""A run on raw clips is probed on the resized videos of a benchmark."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from extractors.raw_corpus import RawCorpus
from extractors.raw_labelled import NOT_RESIZED, raw_clips
from jobs import resize
from jobs.probe_plan import PROBES
from jobs.probe_runs import probe_runs
from mcn.data.ledger import read_ledger
from mcn.data.picture_form import PictureForm
from mcn.data.probe_folder import read_labels
from mcn.data.stores import Features
from mcn.modality import Modality
from mcn.models.xdc import Xdc, XdcDims
from mcn.probes.probe import NO_USABLE_CLIP
from mcn.probes.results import read_probes
from mcn.probes.settings import ProbeSettings
from mcn.root import Root
from mcn.training.checkpoint import Checkpoint, save_checkpoint
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import XdcConfig
from tests.probe_files import write_clips, write_ucf101
from tests.test_probe_commands import HERE, LIMITS, SMALL

FORM = PictureForm(clip_frames=2, picture_height=24, picture_width=32, picture_crop=16)
DAMAGED, LOST = "v_Archery_g02_c01", "v_Archery_g03_c02"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """One video was damaged after it was resized, and one was never there."""
    root = Root(tmp_path_factory.mktemp("root"))
    place = root.benchmark("ucf101")
    write_ucf101(place.path)
    write_clips(place.path)
    next(place.raw.rglob(f"{LOST}.avi")).unlink()
    resize.main(
        resize.Arguments(
            root=root.path, benchmark="ucf101", resize=SMALL, threads=2, sandbox=LIMITS, target=HERE
        )
    )
    (place.resized / f"{DAMAGED}.mp4").write_bytes(b"no video")
    return root


@pytest.mark.slow
def test_videos_that_were_not_resized_are_missing_with_a_reason(root: Root) -> None:
    place = root.benchmark("ucf101")
    labelled = read_labels(place.path)
    assert LOST in labelled.labels and len(labelled.labels) == 18
    asked: list[tuple[tuple[Modality, ...], float]] = [
        (("video",), 1.0),
        (("video", "audio"), 1.0),
        (("video",), 0.4),
    ]
    of_video, of_both, shorter = (
        raw_clips(place, labelled, modalities, FORM, clip_seconds=seconds, most_per_video=2)
        for modalities, seconds in asked
    )
    assert of_video.missing == {LOST: NOT_RESIZED}
    assert len(of_video.source.places) == 17
    assert len(shorter.source.places) == 34
    assert of_video.digest != shorter.digest
    heard = {
        video_id for video_id, o in read_ledger(place.ledger / "resize").items() if o.has_audio
    }
    assert set(of_both.source.places.video_ids) == heard
    batch = of_video.source.read([0, 1])
    assert batch.video.dtype == torch.uint8 and batch.has["video"].all()


@pytest.mark.slow
def test_a_run_on_raw_clips_is_probed_without_any_features(root: Root) -> None:
    torch.manual_seed(0)
    place, run = root.benchmark("ucf101"), RunFolder(root.runs / "raw")
    config = XdcConfig(inputs="clips", clip_seconds=1.0)
    corpus = RawCorpus.take(place).keep(run.corpus)
    run.claim(config, {"resized": corpus.digest()})
    dims = XdcDims(video=3, audio=40, clusters=3, out=512)
    model = Xdc(dims, method="xdc", inputs="clips", pictures=FORM)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    save_checkpoint(run.final, Checkpoint(weights, model.described))
    settings = ProbeSettings(
        ways="finetune",
        epochs=1,
        validation=0.0,
        clips_per_video=1,
        batch_size=6,
    )
    (results,) = probe_runs(root, Features(), [run], settings)
    assert results == read_probes(run.path / PROBES)
    ucf101 = results.benchmarks["ucf101"]
    parts = ucf101.of("finetune", "video")
    missing = {video_id: why for part in parts for video_id, why in part.missing.items()}
    assert missing == {DAMAGED: NO_USABLE_CLIP, LOST: NOT_RESIZED}
    run.final.unlink()  # 170 MB


@pytest.mark.slow
def test_a_benchmark_that_was_resized_otherwise_is_left_out(
    root: Root, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "raw")
    corpus = RawCorpus.take(root.benchmark("ucf101"))
    other = replace(corpus, rule={**corpus.rule, "height": 99})
    other.keep(run.corpus)
    run.claim(XdcConfig(inputs="clips", clip_seconds=1.0), {"resized": other.digest()})
    run.final.parent.mkdir()
    run.final.write_bytes(b"of no account")
    assert probe_runs(root, Features(), [run], ProbeSettings()) == []
    assert "was trained on other features (resized) and is left out" in capsys.readouterr().out
