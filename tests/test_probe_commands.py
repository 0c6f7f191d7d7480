"""Benchmarks of classes through the commands, from the files as they are unpacked to the store."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from extractors.corpus import listed_videos, resize_ledger
from extractors.extract_config import ExtractConfig
from extractors.media import MediaError, probe, read_waveform
from extractors.plan import read_plan
from extractors.resize import ResizeConfig, resize_video
from extractors.sandbox import SandboxLimits
from extractors.video import build_backbone
from jobs import extract, resize
from mcn.data.ledger import read_ledger
from mcn.data.manifest import read_manifest
from mcn.data.probe_folder import read_labels
from mcn.report.sources import skipped_videos
from mcn.root import Root
from mcn.store.reader import FeatureStore
from slurm.launch import Target
from tests.probe_files import write_clips, write_esc50, write_hmdb51, write_sound, write_ucf101
from tests.stores import FEATURES, write_stores
from tests.videos import write_video

HERE = Target(cluster="debug")
LIMITS = SandboxLimits(memory_gb=2)
SMALL = ResizeConfig(width=64, height=48, preset="ultrafast")


def prepare(root: Path, benchmark: str, config: ExtractConfig) -> None:
    resize.main(
        resize.Arguments(
            root=root, benchmark=benchmark, resize=SMALL, threads=2, sandbox=LIMITS, target=HERE
        )
    )
    extract.main(
        extract.Arguments(
            root=root,
            benchmark=benchmark,
            extract=config,
            videos_per_shard=8,
            sandbox=LIMITS,
            target=HERE,
        )
    )


def draw_resnet18(path: Path) -> ExtractConfig:
    """Everything, with pictures by a network of weights that no training video has set."""
    torch.manual_seed(0)
    torch.save(build_backbone("resnet18").state_dict(), path)
    return ExtractConfig(backbone="resnet18", weights=str(path), audio_network="logmel")


@pytest.mark.slow
def test_names_as_hmdb51_has_them_survive_from_the_raw_file_to_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Root(tmp_path).benchmark("hmdb51")
    write_hmdb51(place.path, clips_per_film=1)
    write_clips(place.path)
    prepare(tmp_path, "hmdb51", draw_resnet18(tmp_path / "resnet18.pth"))
    labelled = read_labels(place.path)
    ids = sorted(labelled.labels)
    assert len(ids) == 12
    assert {v.video_id: v.path for v in read_manifest(place.manifest)} == {
        video_id: f"raw/clips/{labelled.classes[label]}/{video_id}.avi"
        for video_id, label in labelled.labels.items()
    }
    outcomes = read_ledger(resize_ledger(place))
    assert {v: outcome.status for v, outcome in outcomes.items()} == dict.fromkeys(ids, "done")
    for plan in ("resize", "video", "audio"):
        assert sorted(v for shard in read_plan(place.plans / f"{plan}.csv") for v in shard) == ids
    for name, num_rows in {"video-resnet18": range(1, 3), "audio-logmel": range(100, 115)}.items():
        store = FeatureStore(place.store / name)
        assert sorted(store.video_ids) == ids
        assert not store.failures()
        assert all(len(store.read(video_id)) in num_rows for video_id in ids)
    assert not list(place.store.glob("text*"))
    assert "hmdb51: video and audio alone, by default" in capsys.readouterr().out


def test_sounds_without_a_picture_have_sound_in_the_store_and_no_video(tmp_path: Path) -> None:
    place = Root(tmp_path).benchmark("esc50")
    write_esc50(place.path, clips_per_fold=1)
    write_clips(place.path)
    half_silent = place.raw / "audio" / "3-300-A-0.wav"
    write_sound(half_silent, seconds=5.0, heard_seconds=0.5)
    everything = draw_resnet18(tmp_path / "resnet18.pth")
    prepare(tmp_path, "esc50", everything)
    assert [path.name for path in place.store.glob("*-*")] == ["audio-logmel"]
    prepare(tmp_path, "esc50", replace(everything, modalities=("video",)))
    assert len(read_plan(place.plans / "audio.csv")) == 2
    ids = sorted(read_labels(place.path).labels)
    sounds, pictures = (FeatureStore(place.store / n) for n in ("audio-logmel", "video-resnet18"))
    assert sorted(sounds.video_ids) == ids
    assert sorted(pictures.failures()) == [(video_id, "no-video") for video_id in ids]
    assert abs(len(sounds.read("3-300-A-0")) - 500) <= 8
    outcome = read_ledger(resize_ledger(place))["3-300-A-0"]
    assert (outcome.num_frames, outcome.has_audio) == (0, True)
    assert abs(outcome.seconds - 5.0) < 0.1


def test_one_name_in_two_sub_folders_is_refused_with_both(tmp_path: Path) -> None:
    place = Root(tmp_path).benchmark("ucf101")
    write_ucf101(place.path, clips_per_group=1)
    write_clips(place.path)
    assert len(listed_videos(place)) == 9
    again = place.raw / "again" / "v_Archery_g01_c01.mp4"
    again.parent.mkdir()
    again.touch()
    with pytest.raises(ValueError, match=r"raw/again/v_Archery.*raw/clips/Archery/v_Archery"):
        listed_videos(place)


def test_a_benchmark_may_be_unpacked_elsewhere_and_linked(tmp_path: Path) -> None:
    write_ucf101(tmp_path / "elsewhere", clips_per_group=1)
    write_clips(tmp_path / "elsewhere")
    place = Root(tmp_path).benchmark("ucf101")
    write_ucf101(place.path, clips_per_group=1)
    place.raw.mkdir()
    (place.raw / "UCF-101").symlink_to(tmp_path / "elsewhere" / "raw" / "clips")
    paths = {video.video_id: video.path for video in listed_videos(place)}
    assert paths["v_Archery_g01_c01"] == "raw/UCF-101/Archery/v_Archery_g01_c01.avi"


def test_what_a_system_lays_beside_the_files_is_none_of_them(tmp_path: Path) -> None:
    place = Root(tmp_path).benchmark("ucf101")
    write_ucf101(place.path, clips_per_group=1)
    write_clips(place.path)
    (place.raw / "._v_Archery_g01_c01.avi").touch()
    (place.raw / ".Trashes").mkdir()
    (place.raw / ".Trashes" / "v_Archery_g01_c01.avi").touch()
    assert len(listed_videos(place)) == 9


def test_text_of_a_benchmark_without_captions_is_refused_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    write_ucf101(Root(tmp_path).benchmark("ucf101").path)
    config = ExtractConfig(modalities=("video", "text"))
    with pytest.raises(ValueError, match="ucf101 has no captions: leave text out"):
        extract.main(extract.Arguments(root=tmp_path, benchmark="ucf101", extract=config))


def test_a_file_without_a_picture_is_a_failure_wherever_pictures_are_judged(
    tmp_path: Path,
) -> None:
    sound = write_sound(tmp_path / "sound.wav", seconds=1.0)
    with pytest.raises(MediaError, match="there is no video in it"):
        resize_video(sound, tmp_path / "sound.mp4", SMALL)
    (tmp_path / "raw").mkdir()
    sound.rename(tmp_path / "raw" / "sound.wav")
    write_video(tmp_path / "raw" / "seen.mp4", seconds=0.2, width=64, height=48)
    assert [video.video_id for video in listed_videos(Root(tmp_path))] == ["seen"]


def test_sound_alone_keeps_its_place_in_time_and_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "sound.wav", seconds=2.5, heard_seconds=1.5)
    made = []
    for name in ("one.mp4", "two.mp4"):
        resized = resize_video(source, tmp_path / name, SMALL, accepts_sound_alone=True)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert (resized.num_frames, resized.has_audio, resized.completeness) == (0, True, 1.0)
    assert resized.seconds == pytest.approx(2.5)
    assert probe(tmp_path / "one.mp4").width is None
    waveform = read_waveform(tmp_path / "one.mp4")
    (heard,) = (abs(waveform) > 0.1).nonzero()
    assert heard[0] < 20
    assert abs(heard[-1] - 1.5 * 16_000) < 100
    assert abs(waveform[25_000:]).max() < 0.01


def test_a_sound_that_is_cut_off_is_no_sound_of_its_full_length(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "sound.wav", seconds=2.0)
    source.write_bytes(source.read_bytes()[: 44 + 44_100 * 2])
    with pytest.raises(MediaError, match=r"of 2\.0 s could be decoded") as raised:
        resize_video(source, tmp_path / "sound.mp4", SMALL, accepts_sound_alone=True)
    assert raised.value.reason == "truncated"
    assert not (tmp_path / "sound.mp4").exists()


def test_a_report_needs_no_text_of_a_benchmark_of_classes(tmp_path: Path) -> None:
    place = Root(tmp_path).benchmark("esc50")
    write_esc50(place.path)
    for store in (Root(tmp_path).store, place.store):
        write_stores(store, num_videos=2)
    with_text = skipped_videos(Root(tmp_path), FEATURES)
    shutil.rmtree(place.store / FEATURES.text)
    assert skipped_videos(Root(tmp_path), FEATURES) == with_text
