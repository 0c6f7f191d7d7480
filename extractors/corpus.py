"""The videos below a root, and where they stand in the steps before extraction."""

import dataclasses
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from extractors.media import MediaError, not_read
from extractors.publish import publish
from extractors.resize import ResizeConfig
from extractors.video_name import check_name
from mcn.data.benchmark_folder import has_annotation, read_benchmark, sentences_of_videos
from mcn.data.captions import Captions, read_captions
from mcn.data.ledger import Outcome, read_ledger
from mcn.data.ledger_columns import read_columns
from mcn.data.manifest import (
    RAW_SUFFIXES,
    SOUND_SUFFIXES,
    Video,
    Videos,
    from_folder,
    from_howto100m,
    from_tree,
    read_manifest,
    write_manifest,
)
from mcn.data.probe_folder import has_labels, has_sounds_alone
from mcn.data.step_folder import has_steps, step_texts
from mcn.root import Root
from mcn.store.ids import as_ids


def listed_videos(root: Root) -> Videos:
    """All videos, with the raw files that there are so far; brings `manifest.csv` up to date.

    They are those of HowTo100M's csv where the root has it, else those of the manifest so far, in
    its order, and then what else is in `raw/`, for a benchmark of classes in its sub-folders too.
    Their lengths are those of the resized videos, else what the manifest says, else what the site
    said at downloading.
    """
    before, videos = _videos_before_and_now(root)
    if videos != before or not root.manifest.exists():
        write_manifest(root.manifest, videos)
    return videos


def _videos_before_and_now(root: Root) -> tuple[Videos, Videos]:
    """As the manifest has them, and as it should."""
    before = read_manifest(root.manifest) if root.manifest.exists() else Videos()
    if root.howto100m_csv.exists():
        videos = from_howto100m(root.howto100m_csv, root.raw).with_lengths_of(before)
    else:
        videos = before.with_files({video.video_id: video.path for video in _raw_videos(root)})
    return before, _with_known_lengths(root, videos)


def _raw_videos(root: Root) -> list[Video]:
    if not has_labels(root.path):
        return from_folder(root.raw)
    return from_tree(
        root.raw,
        RAW_SUFFIXES | SOUND_SUFFIXES if has_sounds_alone(root.path) else RAW_SUFFIXES,
    )


def _with_known_lengths(root: Root, videos: Videos) -> Videos:
    """With those of the resized videos, and of others that have none with what the site said."""
    resized = read_columns(resize_ledger(root)).done
    videos = videos.with_lengths(resized["video_id"], resized["seconds"], resized["num_frames"])
    if None not in videos.seconds:
        return videos
    columns = zip(videos.video_ids, videos.seconds, videos.frames, strict=True)
    unknown = [k for k, seconds, frames in columns if seconds is None and frames is None]
    said: dict[str, float] = read_columns(download_ledger(root)).by_id("seconds")
    of_unknown = {k: seconds for k in unknown if (seconds := said.get(k))}
    return videos.with_lengths(as_ids(of_unknown), np.array(list(of_unknown.values())))


def raw_videos(root: Root) -> dict[str, Path]:
    """The raw file of each video that has one; the manifest stays as it is."""
    _, videos = _videos_before_and_now(root)
    files = zip(videos.video_ids, videos.paths, strict=True)
    return {video_id: root.path / path for video_id, path in files if path}


def download_ledger(root: Root) -> Path:
    """Where the outcomes of downloading are."""
    return root.ledger / "download"


def resize_ledger(root: Root) -> Path:
    """Where the outcomes of resizing are."""
    return root.ledger / "resize"


def resized_videos(root: Root) -> dict[str, Outcome]:
    """The videos that are in the standard form."""
    outcomes = read_ledger(resize_ledger(root))
    return {k: v for k, v in outcomes.items() if v.status == "done"}


def captions_of(root: Root) -> dict[str, Captions]:
    """The captions of the resized videos; in a benchmark's folder, its sentences or steps."""
    if has_steps(root.path):
        return step_texts(root.path)
    resized = resized_videos(root)
    if has_annotation(root.path):
        seconds = {video_id: outcome.seconds for video_id, outcome in resized.items()}
        return sentences_of_videos(read_benchmark(root.path), seconds)
    captions = read_captions(root.captions)
    return {video_id: captions[video_id] for video_id in resized if video_id in captions}


def claim_resize_rule(root: Root, config: ResizeConfig) -> None:
    """Write down how the videos of this root are resized, so that none is resized otherwise.

    Raises:
        ValueError: They were resized by another rule before.
    """
    path = root.resized / "rule.json"
    rule = dataclasses.asdict(config)
    if path.exists():
        before = read_rule(path)
        if before != rule:
            differing = [name for name in rule if rule[name] != before.get(name)]
            raise ValueError(
                f"{root.resized} holds videos resized with another {', '.join(differing)} "
                f"(see {path}): use the same, or another --root"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    aside.write_text(json.dumps(rule, indent=2) + "\n")
    publish(aside, path)


def read_rule(path: Path) -> dict[str, str | int | float]:
    """How the videos beside this file were resized.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        rule: dict[str, str | int | float] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is damaged ({error}): write into it how these videos were resized, or remove "
            "it, and the next jobs/resize.py writes what it is asked for"
        ) from error
    return rule


@dataclass(frozen=True)
class ResizedVideos:
    """The videos in the standard form, as extraction needs them."""

    folder: Path
    rule: dict[str, str | int | float]
    """How they were resized."""
    completeness: dict[str, float]
    """How much of each there is."""
    seconds: dict[str, float]
    """How long each is."""
    num_errors: dict[str, int] = field(default_factory=dict)
    """At how many places the raw file of each was damaged, where that was counted."""

    @classmethod
    def below(cls, root: Root) -> "ResizedVideos":
        """Those of a root.

        Raises:
            FileNotFoundError: Nothing has been resized there.
        """
        rule = root.resized / "rule.json"
        if not rule.exists():
            raise FileNotFoundError(f"{rule} is missing: run jobs/resize.py first")
        columns = read_columns(resize_ledger(root))
        return cls(
            root.resized,
            read_rule(rule),
            completeness=columns.by_id("completeness"),
            seconds=columns.by_id("seconds"),
            num_errors=columns.by_id("num_errors"),
        )

    def path(self, video_id: str) -> Path:
        """The file of a video.

        Raises:
            MediaError: "link" if it is one: resizing makes files, and nothing else is read here;
                "name" if the id is no plain file name; "unreadable-now" if nobody can tell.
        """
        check_name(video_id)
        path = self.folder / f"{video_id}.mp4"
        try:
            is_link = path.is_symlink()
        except OSError as error:
            raise not_read(path, error) from error
        if is_link:
            raise MediaError(
                "link",
                f"{path}: a symbolic link, where resizing makes a file; "
                "remove the file and run jobs/resize.py --retry all",
            )
        return path
