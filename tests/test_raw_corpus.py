"""A run from raw clips keeps to the videos that there were when it began."""

import json
import re
from pathlib import Path

import pytest
import torch

from extractors.corpus import resize_ledger
from extractors.raw_corpus import RawCorpus, keep_corpus
from jobs.train import main, parse
from mcn.data.batches import ClipBatch
from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.picture_form import PictureForm
from mcn.root import Root
from mcn.training.unread import UnreadVideos
from mcn.training.xdc.config import XdcConfig
from tests.test_raw_clips import FORM


def resize(root: Root, video_id: str, *, seconds: float = 5.0, has_audio: bool = True) -> None:
    """As the ledger has it."""
    root.resized.mkdir(exist_ok=True)
    (root.resized / "rule.json").write_text(json.dumps({"sample_rate": 16_000, "fps": 30}))
    outcome = Outcome(video_id=video_id, status="done", seconds=seconds, has_audio=has_audio)
    LedgerFile(resize_ledger(root) / "00000.jsonl").append(outcome)


def test_a_run_keeps_the_videos_with_sound_that_it_began_with(tmp_path: Path) -> None:
    root, path = Root(tmp_path), tmp_path / "runs" / "a" / "corpus.json"
    resize(root, "b")
    resize(root, "a", seconds=2.5)
    resize(root, "mute", has_audio=False)
    begun = keep_corpus(path, root)
    assert begun.seconds == {"a": 2.5, "b": 5.0}
    resize(root, "c")
    assert keep_corpus(path, root) == begun
    assert RawCorpus.take(root).digest() != begun.digest()
    assert RawCorpus.take(root).keep(path) == begun  # who comes second gets the first
    assert [file.name for file in path.parent.iterdir()] == ["corpus.json"]
    clips = begun.clips(root.resized, FORM, clip_seconds=2.0, most_per_video=9)
    assert clips.places.video_ids == ["a", "b", "b"]


def test_nothing_to_hear_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("run jobs/resize.py first")):
        RawCorpus.take(Root(tmp_path))
    resize(Root(tmp_path), "mute", has_audio=False)
    with pytest.raises(ValueError, match="has sound"):
        RawCorpus.take(Root(tmp_path))
    (tmp_path / "corpus.json").write_text("{}")
    with pytest.raises(ValueError, match=re.escape("corpus.json is no list of resized videos")):
        keep_corpus(tmp_path / "corpus.json", Root(tmp_path))


def test_raw_clips_have_defaults_of_their_own(tmp_path: Path) -> None:
    config = parse(["--model", "xdc", "--inputs", "clips"]).config
    assert isinstance(config, XdcConfig)
    assert (config.batch_size, config.clip_seconds, config.encoder_dim) == (128, 2.0, 512)
    assert config.pictures == PictureForm()
    stored = parse(["--model", "xdc"]).config
    assert isinstance(stored, XdcConfig) and stored.pictures is None


def test_what_raw_clips_have_no_use_for_is_refused(tmp_path: Path) -> None:
    words = ["--model", "xdc", "--root", str(tmp_path), "--gpus", "0"]
    snapshot = tmp_path / "snapshot.json"
    with pytest.raises(ValueError, match="--snapshot is of stores"):
        main(parse([*words, "--inputs", "clips", "--snapshot", str(snapshot)]))
    with pytest.raises(ValueError, match=r"--video-weights .* is of --inputs clips"):
        XdcConfig(video_weights="r2plus1d_18.pth")
    with pytest.raises(ValueError, match="picture_crop 200 is not within pictures of 171x128"):
        XdcConfig(inputs="clips", picture_crop=200)


def test_a_video_that_cannot_be_read_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    unread, empty = UnreadVideos(), torch.zeros(0)
    for videos in ({"a": "cut off"}, {"a": "cut off", "b": "gone"}, {}):
        unread.say(
            ClipBatch(
                video_ids=[],
                video_numbers=empty.long(),
                seconds=empty.double().reshape(0, 2),
                video=empty,
                audio=empty[:, None],
                audio_frames=None,
                words=empty.int().reshape(0, 0),
                is_word=empty.bool().reshape(0, 0),
                has={},
                kept_out={},
                unread=videos,
            )
        )
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "cut off" in said[0] and "gone" in said[1]
