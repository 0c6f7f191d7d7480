"""What of a `probe.json` still holds, and what is left to do."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcn.data.labelled_videos import LabelledVideos
from mcn.modality import Modality
from mcn.probes.chance import TOP, majority_accuracy
from mcn.probes.results import BenchmarkProbes, Part, ProbeResults, TestSide, read_probes
from mcn.probes.settings import ProbeSettings, Way
from mcn.probes.sides import videos_of


@dataclass(frozen=True)
class Asked:
    """One way of classifying, on all splits."""

    way: Way
    looks_at: str

    def is_of(self, part: Part) -> bool:
        return (part.way, part.looks_at) == (self.way, self.looks_at)


def known_probes(path: Path, nothing: ProbeResults) -> ProbeResults:
    """What is written down for this very checkpoint, where it can be read; else nothing."""
    if not path.exists():
        return nothing
    try:
        known = read_probes(path)
    except ValueError:
        print(f"{path} is of an earlier version or damaged, and made again")
        return nothing
    is_of_it = known.checkpoint_sha256 == nothing.checkpoint_sha256
    return dataclasses.replace(nothing, benchmarks=known.benchmarks) if is_of_it else nothing


def parts_that_hold(
    known: BenchmarkProbes, data: Mapping[str, str], asked: list[Asked], settings: ProbeSettings
) -> tuple[Part, ...]:
    """What was not asked for, and what was, of the same data and by the settings of now.

    Args:
        known: Parts of a benchmark.
        data: Digest of what each input that is asked for is made from.
        asked: What is wanted now.
        settings: Of now.
    """
    return tuple(
        part
        for part in known.parts
        if not any(one.is_of(part) for one in asked)
        or (part.data == data[part.looks_at] and part.settings == settings.deciding(part.way))
    )


def is_complete(
    known: BenchmarkProbes | None, judged: tuple[Modality, ...], settings: ProbeSettings
) -> bool:
    """Whether every way asked for is done on all splits, by the settings of now.

    Args:
        known: Parts of a benchmark; None where there are none.
        judged: What the benchmark may be judged by.
        settings: Of now.
    """
    asked = [(way, name) for name in settings.inputs(judged) for way in settings.asked_ways]
    done = [(way, known.of(way, name) if known else []) for way, name in asked]
    return all(
        parts and all(part.settings == settings.deciding(way) for part in parts)
        for way, parts in done
    )


def with_parts_of_others(
    done: BenchmarkProbes, before: BenchmarkProbes | None, now: BenchmarkProbes | None
) -> BenchmarkProbes:
    """With what another process wrote down on the same videos since this one began to work.

    Args:
        done: By this process.
        before: What was written down when it began.
        now: What is written down.
    """
    if now is None or now.splits != done.splits:
        return done
    seen = [*done.parts, *(before.parts if before is not None else ())]
    there = {(part.way, part.looks_at, part.split) for part in done.parts}
    new = tuple(
        part
        for part in now.parts
        if part not in seen and (part.way, part.looks_at, part.split) not in there
    )
    return dataclasses.replace(done, parts=(*done.parts, *new))


def nothing_probed(title: str, labelled: LabelledVideos) -> BenchmarkProbes:
    """A benchmark with its test sides, and no part."""
    return BenchmarkProbes(
        title=title,
        num_classes=len(labelled.classes),
        splits=tuple(_test_side(labelled, number) for number in range(len(labelled.splits))),
        parts=(),
        skipped={},
    )


def _test_side(labelled: LabelledVideos, number: int) -> TestSide:
    split = labelled.splits[number]
    train, test = videos_of(labelled, split.train), videos_of(labelled, split.test)
    top1, top5 = (majority_accuracy(train.labels, test.labels, top) for top in TOP)
    return TestSide(video_ids=test.ids, groups=test.groups, chance=(top1, top5))
