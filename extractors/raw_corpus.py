"""Which resized videos a run is trained on from raw clips: those that there were when it began."""

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from extractors.corpus import ResizedVideos, resized_videos
from extractors.raw_clips import RawClips
from mcn.data.clip_source import cut_evenly
from mcn.data.picture_form import PictureForm
from mcn.root import Root
from mcn.store.aside import written_aside
from mcn.store.layout import canonical_json

_FORMAT = "mcn-raw-corpus-1"


@dataclass(frozen=True)
class RawCorpus:
    """Resized videos with sound. The same sources and rule give the same files to the byte."""

    rule: dict[str, str | int | float]
    """How they were resized."""
    seconds: dict[str, float]
    """How long each is."""

    @classmethod
    def take(cls, root: Root) -> "RawCorpus":
        """What there is now.

        Raises:
            FileNotFoundError: Nothing has been resized there.
            ValueError: No video has sound.
        """
        rule = ResizedVideos.below(root).rule
        seconds = {k: v.seconds for k, v in resized_videos(root).items() if v.has_audio}
        if not seconds:
            raise ValueError(f"no video in {root.resized} has sound, by which raw clips are learnt")
        return cls(rule, seconds)

    @classmethod
    def read(cls, path: Path) -> "RawCorpus":
        """That of a file.

        Raises:
            ValueError: The file holds none.
        """
        try:
            found = json.loads(path.read_bytes())
            if found["format"] != _FORMAT:
                raise ValueError(f"its format is {found['format']!r}, not {_FORMAT!r}")
            return cls(found["rule"], found["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no list of resized videos: {error}") from error

    def keep(self, path: Path) -> "RawCorpus":
        """The one at `path`, which is this one where there was none.

        All processes that come at the same time get the same one, whatever each of them has.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        with written_aside(own) as file:
            file.write(canonical_json({"format": _FORMAT, **vars(self)}).encode() + b"\n")
        try:
            with contextlib.suppress(FileExistsError):
                os.link(own, path)
        finally:
            own.unlink()
        return RawCorpus.read(path)

    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal digits."""
        return sha256(canonical_json(vars(self)).encode()).hexdigest()

    def clips(
        self, folder: Path, form: PictureForm, *, clip_seconds: float, most_per_video: int
    ) -> RawClips:
        """Clips of all of them, of one length and spread evenly, from the folder of their files."""
        durations = sorted(self.seconds.items())
        places = cut_evenly(durations, clip_seconds=clip_seconds, most_per_video=most_per_video)
        videos = ResizedVideos(folder, self.rule, completeness={}, seconds=self.seconds)
        return RawClips(videos, places, form)


def keep_corpus(path: Path, root: Root) -> RawCorpus:
    """The corpus of the file at `path`; where there is none, that of now is put there first."""
    return RawCorpus.read(path) if path.exists() else RawCorpus.take(root).keep(path)
