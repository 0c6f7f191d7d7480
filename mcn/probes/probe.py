"""Classifies the videos of benchmarks by what a model makes of them, and keeps what is done."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from mcn.modality import Modality
from mcn.probes.benchmark import ProbeBenchmark
from mcn.probes.clip_rows import HeldRows, MadeRows
from mcn.probes.footing import Footing
from mcn.probes.frozen import classify_frozen
from mcn.probes.known import (
    Asked,
    known_probes,
    nothing_probed,
    parts_that_hold,
    with_parts_of_others,
)
from mcn.probes.labelled_clips import LabelledClips, digest_of
from mcn.probes.learnt import LearntProbe
from mcn.probes.results import BenchmarkProbes, Part, ProbeResults, write_probes
from mcn.probes.rows import RowsOfClips, rows_of_clips
from mcn.probes.settings import INPUTS, ProbeSettings, Way
from mcn.probes.sides import Sides, TooFewClassesError, ranks_of_own_class, sides_of
from mcn.progress import Progress
from mcn.training.distributed import device_type, process_group

NO_USABLE_CLIP = "no-usable-clip"
"""Of a video whose clips cannot be read, or have features or rows that are not finite."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is probed: a model, or features without any."""

    nothing: ProbeResults
    """What it is, without results."""
    path: Path
    """Where results are written down."""
    ways: tuple[Way, ...]
    """In which it can be probed."""
    clips: Callable[[ProbeBenchmark, tuple[Modality, ...]], LabelledClips]
    footing: Callable[[tuple[Modality, ...]], Footing]
    """Makes a new one at each call, which may learn without harm to others."""


def probe(
    subject: Subject, benchmarks: Mapping[str, ProbeBenchmark], settings: ProbeSettings
) -> ProbeResults:
    """All that is asked for; of it, what is written down and still holds is read.

    An input by which no two classes can be told apart is left out, with a printed line.
    """
    with process_group(device_type("auto")) as device:  # so that GPUs repeat themselves
        return _probe(subject, benchmarks, settings, device)


def _probe(
    subject: Subject,
    benchmarks: Mapping[str, ProbeBenchmark],
    settings: ProbeSettings,
    device: torch.device,
) -> ProbeResults:
    known = known_probes(subject.path, subject.nothing)
    done: dict[str, BenchmarkProbes] = {}
    for key, benchmark in benchmarks.items():
        work = _Work(subject, benchmark, settings, device, known.benchmarks.get(key))
        done[key] = work.held
        with Progress(
            f"probe {subject.nothing.run} on {benchmark.title}", total=len(work.left), unit="parts"
        ) as progress:
            for part in work.parts():
                done[key] = dataclasses.replace(done[key], parts=(*done[key].parts, part))
                _write(subject, known, done)
                progress.advance()
        if work.skipped:
            skipped = {**done[key].skipped, **work.skipped}
            done[key] = dataclasses.replace(done[key], skipped=skipped)
            _write(subject, known, done)
    return dataclasses.replace(known, benchmarks=done)


def _write(subject: Subject, known: ProbeResults, done: Mapping[str, BenchmarkProbes]) -> None:
    """What is done, and beside it what is not asked for now or others did meanwhile."""
    others = known_probes(subject.path, subject.nothing).benchmarks
    merged = {
        key: with_parts_of_others(part, known.benchmarks.get(key), others.get(key))
        for key, part in done.items()
    }
    later = {key: part for key, part in {**known.benchmarks, **others}.items() if key not in done}
    results = dataclasses.replace(subject.nothing, benchmarks={**merged, **later})
    if results.benchmarks != others:
        write_probes(subject.path, results)


class _Work:
    """What is left to do on one benchmark."""

    def __init__(
        self,
        subject: Subject,
        benchmark: ProbeBenchmark,
        settings: ProbeSettings,
        device: torch.device,
        known: BenchmarkProbes | None,
    ) -> None:
        self.subject = subject
        self.benchmark = benchmark
        self.settings = settings
        self.skipped: dict[str, str] = {}
        """Inputs by which nothing could be classified, and why."""
        self.device = device
        labelled = benchmark.labelled
        asked = [
            Asked(way, looks_at)
            for looks_at in settings.inputs(labelled.modalities)
            for way in settings.asked_ways
            if way in subject.ways
        ]
        nothing = nothing_probed(benchmark.title, labelled)
        if known is None or known.splits != nothing.splits:
            known = nothing
        inputs = dict.fromkeys(one.looks_at for one in asked)
        self.clips: dict[str, LabelledClips] = {}
        for name in inputs:
            try:
                self.clips[name] = subject.clips(benchmark, INPUTS[name])
            except TooFewClassesError as error:
                self._skip(name, error)
        asked = [one for one in asked if one.looks_at in self.clips]
        annotation = digest_of(dataclasses.asdict(labelled))
        self.data = {
            name: digest_of([annotation, clips.digest]) for name, clips in self.clips.items()
        }
        held = parts_that_hold(known, self.data, asked, settings)
        skipped = {name: why for name, why in known.skipped.items() if name not in inputs}
        self.held = dataclasses.replace(nothing, parts=held, skipped=skipped)
        self.left = [
            (one, number)
            for one in asked
            for number in range(len(labelled.splits))
            if not any(one.is_of(part) and part.split == number for part in held)
        ]

    def parts(self) -> Iterator[Part]:
        """One after the other, as they are done."""
        rows: dict[str, RowsOfClips] = {}
        for asked, number in self.left:
            looks_at = asked.looks_at
            if looks_at not in rows:
                footing = self.subject.footing(INPUTS[looks_at])
                clips = self.clips[looks_at]
                rows[looks_at] = rows_of_clips(
                    footing, clips.source, self.device, is_held=clips.is_fixed
                )
            if looks_at in self.skipped:
                continue
            try:
                sides = self._sides(asked, number, rows[looks_at])
            except TooFewClassesError as error:
                self._skip(looks_at, error)
                continue
            scores, chosen = self._classify(asked, sides, rows[looks_at])
            yield self._part(asked, number, sides, scores, chosen)

    def _skip(self, looks_at: str, error: TooFewClassesError) -> None:
        self.skipped[looks_at] = str(error)
        print(f"{self.benchmark.title}, {looks_at} is left out: {error}")

    def _sides(self, asked: Asked, number: int, rows: RowsOfClips) -> Sides:
        """A video whose clips are all unusable counts as missing too."""
        missing = dict(self.clips[asked.looks_at].missing)
        missing |= dict.fromkeys(rows.unusable_videos, NO_USABLE_CLIP)
        return sides_of(self.benchmark.labelled, number, missing, self.benchmark.title)

    def _classify(
        self, asked: Asked, sides: Sides, rows: RowsOfClips
    ) -> tuple[Float[np.ndarray, "videos classes"], dict[str, float]]:
        num_classes = len(self.benchmark.labelled.classes)
        if not sides.test.ids:
            return np.empty((0, num_classes)), {}
        if asked.way == "frozen":
            train, test = (rows.means(side.ids) for side in (sides.train, sides.test))
            of_taught, chosen = classify_frozen(sides.train, train, test, self.settings)
            scores = np.zeros((len(of_taught), num_classes))
            scores[:, np.unique(sides.train.labels)] = of_taught
            return scores, chosen
        scores, chosen = LearntProbe(
            lambda: self._new_rows(asked, rows),
            rows,
            self.settings,
            num_classes=num_classes,
            device=self.device,
        ).classify(sides.train, sides.test)
        scores[:, list(sides.untaught)] = 0
        return scores, chosen

    def _new_rows(self, asked: Asked, rows: RowsOfClips) -> HeldRows | MadeRows:
        clips = self.clips[asked.looks_at]
        if asked.way == "linear" and clips.is_fixed:
            return HeldRows(rows.rows, self.device)
        footing = self.subject.footing(INPUTS[asked.looks_at])
        return MadeRows(
            footing,
            clips.source,
            self.device,
            learns=asked.way == "finetune",
            is_held=clips.is_fixed,
        )

    def _part(
        self,
        asked: Asked,
        number: int,
        sides: Sides,
        scores: Float[np.ndarray, "videos classes"],
        chosen: dict[str, float],
    ) -> Part:
        labelled = self.benchmark.labelled
        ranks = ranks_of_own_class(scores, sides.test.labels).tolist()
        found = dict(zip(sides.test.ids, ranks, strict=True))
        return Part(
            way=asked.way,
            looks_at=asked.looks_at,
            split=number,
            data=self.data[asked.looks_at],
            settings=self.settings.deciding(asked.way),
            ranks=tuple(
                found.get(video_id, len(labelled.classes))
                for video_id in labelled.splits[number].test
            ),
            missing=sides.missing,
            num_left_out=sides.num_left_out,
            num_untaught=len(sides.untaught),
            chosen=chosen,
        )
