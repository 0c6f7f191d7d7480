"""What is done of what is asked for, and kept of what is not: a probe on planted clips."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcn.data.labelled_videos import LabelledVideos
from mcn.modality import Modality
from mcn.probes.benchmark import ProbeBenchmark
from mcn.probes.footing import FeaturesAlone
from mcn.probes.labelled_clips import LabelledClips
from mcn.probes.probe import Subject, probe
from mcn.probes.results import ProbeResults, read_probes, write_probes
from mcn.probes.settings import ProbeSettings
from tests.test_probes import PlantedClips, labelled_videos, planted_rows

PLAIN = labelled_videos()
LABELLED = replace(
    PLAIN,
    labels=dict(PLAIN.labels),
    groups=dict(PLAIN.groups),
    modalities=("video", "audio"),
)
SETTINGS = ProbeSettings(ways="frozen", strengths="1", folds=2, epochs=4, batch_size=8, lr=0.05)
NOTHING = ProbeResults(
    run="planted",
    model="mcn",
    stage="AVT",
    seed=0,
    control="none",
    checkpoint_sha256="",
    benchmarks={},
)


def run_probe(
    path: Path,
    settings: ProbeSettings = SETTINGS,
    *,
    labelled: LabelledVideos = LABELLED,
    missing: Collection[str] = (),
) -> ProbeResults:
    """Video tells the classes apart; no clip has sound."""

    def clips(benchmark: ProbeBenchmark, modalities: tuple[Modality, ...]) -> LabelledClips:
        rows = planted_rows(benchmark.labelled, spread=0.1)
        reasons = dict.fromkeys(missing, "no-video")
        return LabelledClips(PlantedClips(rows), reasons, True, f"{modalities}")

    subject = Subject(
        nothing=NOTHING,
        path=path / "probe.json",
        ways=("frozen", "linear"),
        clips=clips,
        footing=FeaturesAlone,
    )
    benchmark = ProbeBenchmark(title="Planted", folder=path, labelled=labelled)
    return probe(subject, {"planted": benchmark}, settings)


def test_videos_of_a_class_without_training_videos_are_wrong_and_the_others_are_not(
    tmp_path: Path,
) -> None:
    missing = [v for v in LABELLED.splits[0].train if LABELLED.labels[v] == 1]
    found = run_probe(tmp_path, replace(SETTINGS, ways="frozen,linear"), missing=missing)
    labels = np.array([LABELLED.labels[v] for v in LABELLED.splits[0].test])
    for part in found.benchmarks["planted"].parts:
        assert part.num_untaught == 1
        is_right = np.array(part.ranks) == 0
        assert is_right[labels != 1].mean() > 0.8
        assert not is_right[labels == 1].any()
        assert (np.array(part.ranks)[labels == 1] == 2).all()  # behind every class there is
    assert len(found.benchmarks["planted"].parts) == 2


def test_an_input_that_tells_no_two_classes_apart_is_left_out_and_the_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_probe(tmp_path, replace(SETTINGS, modalities="video,audio")).benchmarks["planted"]
    assert [part.looks_at for part in found.parts] == ["video"]
    assert "Planted, audio is left out: Planted: fewer than two classes" in capsys.readouterr().out
    assert list(found.skipped) == ["audio"]
    assert read_probes(tmp_path / "probe.json").benchmarks["planted"] == found


def test_parts_that_are_not_asked_for_are_kept_whatever_became_of_their_clips(
    tmp_path: Path,
) -> None:
    path = tmp_path / "probe.json"
    known = run_probe(tmp_path).benchmarks["planted"]
    heard = replace(known.parts[0], looks_at="audio", data="of long ago", chosen={"kept": 1.0})
    more = replace(known, parts=(*known.parts, heard))
    write_probes(path, replace(NOTHING, benchmarks={"planted": more}))
    run_probe(tmp_path, replace(SETTINGS, strengths="0.5"))
    parts = read_probes(path).benchmarks["planted"].parts
    assert {part.looks_at: part.chosen for part in parts} == {
        "audio": {"kept": 1.0},
        "video": {"C": 0.5},
    }
    other = replace(LABELLED, splits=tuple(replace(s, test=s.test[1:]) for s in LABELLED.splits))
    run_probe(tmp_path, labelled=other)
    assert [part.looks_at for part in read_probes(path).benchmarks["planted"].parts] == ["video"]


def test_what_another_process_wrote_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "probe.json"
    alone = run_probe(tmp_path).benchmarks["planted"]
    path.unlink()

    def read(clips: PlantedClips, *args: object, **options: object) -> object:
        """Another ends while this one reads its clips."""
        if not path.exists():
            heard = replace(alone.parts[0], looks_at="audio", chosen={"kept": 1.0})
            both = {"planted": replace(alone, parts=(heard,)), "other": alone}
            write_probes(path, replace(NOTHING, benchmarks=both))
        return plain(clips, *args, **options)  # type: ignore[arg-type]

    plain = PlantedClips.read
    monkeypatch.setattr(PlantedClips, "read", read)
    run_probe(tmp_path)
    written = read_probes(path).benchmarks
    assert written["other"] == alone
    assert {part.looks_at for part in written["planted"].parts} == {"audio", "video"}
