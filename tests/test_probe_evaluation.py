"""From trained runs of each model to the table of probes, on tiny benchmarks of classes."""

import contextlib
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from jobs import evaluate
from jobs.probe_plan import PROBES
from jobs.probe_runs import probe_features, probe_runs, written_probes
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import clips_with_both
from mcn.data.stores import WITHOUT_WORDS, fingerprints_of, open_stores
from mcn.objectives import Stage
from mcn.probes.results import BenchmarkProbes, ProbeResults, read_probes, write_probes
from mcn.probes.settings import WAYS, ProbeSettings
from mcn.report.probes import probe_differences, probe_tables
from mcn.root import Root
from mcn.training.config import Runtime
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.loop import train_xdc
from tests.configs import SMALL
from tests.probe_files import write_esc50, write_ucf101
from tests.probe_stores import write_planted
from tests.stores import FEATURES, write_stores
from tests.test_mmv import CONFIG as MMV

MCN = replace(SMALL, stage=Stage.AVT, stage1_epochs=1, stage2_epochs=1)
SHORT_MMV = replace(MMV, stage1_epochs=1, stage2_epochs=1)
XDC = XdcConfig(
    clusters=4, rounds=1, epochs_per_round=1, clip_seconds=4.0, pca_dim=4, hidden_dim=16, out_dim=8
)
NAMES = (MCN.name, SHORT_MMV.name, XDC.name)
QUICK = ProbeSettings(ways=",".join(WAYS), strengths="0.1,1", folds=2, epochs=2)
LOST = "v_Archery_g02_c01"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store")
    for name, write in (("ucf101", write_ucf101), ("esc50", write_esc50)):
        write(root / "benchmarks" / name)
        write_planted(root / "benchmarks" / name, missing={LOST})
    stores = open_stores(root / "store", FEATURES)
    for config in (MCN, SHORT_MMV):
        train(config, Runtime(), stores, RunFolder(root / "runs" / config.name))
    train_xdc_on_stores(root, XDC)
    return root


def train_xdc_on_stores(root: Path, config: XdcConfig) -> None:
    reader = MediaReader(open_stores(root / "store", FEATURES, sources=WITHOUT_WORDS))
    clips = clips_with_both(reader, clip_seconds=4.0, most_per_video=5)
    run, data = RunFolder(root / "runs" / config.name), fingerprints_of(reader.stores)
    train_xdc(config, Runtime(loader_workers=0), clips, run, data=data, categories={})


def run_evaluate(root: Path, settings: ProbeSettings = QUICK) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        evaluate.main(evaluate.Arguments(root=root, task="probe", probe=settings))
    return output.getvalue()


@pytest.fixture(scope="module")
def printed(root: Path) -> str:
    return run_evaluate(root)


@pytest.fixture(scope="module")
def probed(root: Path, printed: str) -> list[ProbeResults]:
    return [read_probes(path) for path in files(root)]


def files(root: Path) -> list[Path]:
    """Of runs, and of the features of each benchmark."""
    runs = [root / "runs" / name / PROBES for name in NAMES]
    return [*runs, *(root / "benchmarks" / name / PROBES for name in ("ucf101", "esc50"))]


def test_every_model_is_probed_in_every_way_on_all_splits(probed: list[ProbeResults]) -> None:
    assert [results.model for results in probed[:3]] == ["mcn", "mmv-fac", "xdc-xdc"]
    for results in probed[:3]:
        for name, looks_at, num_splits in (("ucf101", "video", 3), ("esc50", "audio", 5)):
            for way in WAYS:
                parts = results.benchmarks[name].of(way, looks_at)
                assert [part.split for part in parts] == list(range(num_splits))


def test_planted_classes_are_found_on_features_alone(probed: list[ProbeResults]) -> None:
    tables = {table.title: table for table in probe_tables(probed)}
    assert set(tables) == {"UCF101", "ESC-50"}
    for table in tables.values():
        alone = [row for row in table.rows if row.label == "features alone"]
        assert [row.how for row in alone] == ["frozen", "linear"]
        assert alone[0].cells["top-1"].interval.value > 0.8
        assert alone[0].cells["top-1"].verdict == "above chance"
        assert table.chance == {"top-1": "33.3"}  # there are too few classes to name five


def test_a_video_without_features_counts_as_wrong_and_is_named(
    root: Path, printed: str, probed: list[ProbeResults]
) -> None:
    ucf101 = probed[0].benchmarks["ucf101"]
    for way in WAYS:
        for part, side in zip(ucf101.of(way, "video"), ucf101.splits, strict=True):
            if LOST in side.video_ids:
                assert part.missing == {LOST: "no-audio"}
                assert part.ranks[side.video_ids.index(LOST)] == ucf101.num_classes
            else:
                assert part.num_left_out == 1
                assert not part.missing
    for text in (" ".join(printed.split()), (root / "report" / "report.md").read_text()):
        assert "1 tested videos have no features and count as wrong" in text


def test_the_report_compares_models_with_each_other_and_with_the_features(
    root: Path, probed: list[ProbeResults]
) -> None:
    rows = [row for row in probe_differences(probed).rows if "frozen" in row.benchmark]
    on_ucf = [(row.first, row.second) for row in rows if row.benchmark.startswith("UCF101")]
    assert on_ucf == [
        ("AVT", "mmv-fac AVT"),
        ("AVT", "xdc-xdc"),
        ("AVT", "features alone"),
        ("mmv-fac AVT", "xdc-xdc"),
        ("mmv-fac AVT", "features alone"),
        ("xdc-xdc", "features alone"),
    ]
    for page in ("report.md", "report.html"):
        text = (root / "report" / page).read_text()
        assert "Probes: UCF101" in text and "Probes: ESC-50" in text
        assert "Text to video, zero-shot" not in text  # nothing was retrieved
    values = json.loads((root / "report" / "probes.json").read_text())
    assert [table["title"] for table in values["tables"]] == ["UCF101", "ESC-50"]


def test_a_second_run_makes_the_same_bytes_and_computes_nothing(root: Path, printed: str) -> None:
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in files(root)}
    runs = [RunFolder(root / "runs" / name) for name in NAMES]
    probe_runs(Root(root), FEATURES, runs, QUICK)
    for path, (inode, content) in before.items():
        assert path.stat().st_ino == inode  # each part that is done puts a new file there
        assert path.read_bytes() == content


def test_the_same_probes_of_the_same_run_have_the_same_bytes(root: Path, of_mcn: Path) -> None:
    whole = of_mcn.read_bytes()
    of_mcn.unlink()
    run_mcn(root)
    assert of_mcn.read_bytes() == whole


@pytest.fixture
def of_mcn(root: Path, printed: str) -> Path:
    """The probes of one run."""
    return root / "runs" / MCN.name / PROBES


def run_mcn(root: Path, settings: ProbeSettings = QUICK) -> str:
    """Without the report."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        probe_runs(Root(root), FEATURES, [RunFolder(root / "runs" / MCN.name)], settings)
    return output.getvalue()


def change(path: Path, name: str, **changed: object) -> None:
    """Other values for one benchmark of a file."""
    results = read_probes(path)
    benchmark = replace(results.benchmarks[name], **changed)  # type: ignore[arg-type]
    write_probes(path, replace(results, benchmarks={**results.benchmarks, name: benchmark}))


def marked(benchmark: BenchmarkProbes) -> BenchmarkProbes:
    """With what no probe would choose, by which parts that were kept are known."""
    parts = tuple(replace(part, chosen={"kept": 1.0}) for part in benchmark.parts)
    return replace(benchmark, parts=parts)


def test_what_was_done_before_a_kill_is_kept_and_the_rest_ends_the_same(
    root: Path, of_mcn: Path
) -> None:
    whole = of_mcn.read_bytes()
    done = read_probes(of_mcn).benchmarks["ucf101"].parts
    change(of_mcn, "ucf101", parts=done[:4])
    run_mcn(root)
    assert of_mcn.read_bytes() == whole
    change(of_mcn, "ucf101", parts=marked(read_probes(of_mcn).benchmarks["ucf101"]).parts[:4])
    run_mcn(root)
    parts = read_probes(of_mcn).benchmarks["ucf101"].parts
    assert [part.chosen == {"kept": 1.0} for part in parts] == [True] * 4 + [False] * 5
    change(of_mcn, "ucf101", parts=done)
    assert of_mcn.read_bytes() == whole


def test_only_ways_whose_settings_changed_are_probed_again(root: Path, of_mcn: Path) -> None:
    whole = of_mcn.read_bytes()
    change(of_mcn, "esc50", parts=marked(read_probes(of_mcn).benchmarks["esc50"]).parts)
    run_mcn(root, replace(QUICK, ways="frozen,linear", epochs=1))
    kept = {
        part.way for part in read_probes(of_mcn).benchmarks["esc50"].parts if "kept" in part.chosen
    }
    assert kept == {"frozen", "finetune"}  # which knows no epochs, and which was not asked for
    of_mcn.write_bytes(whole)


def test_another_checkpoint_or_other_features_are_probed_anew(root: Path, of_mcn: Path) -> None:
    whole = of_mcn.read_bytes()
    results = read_probes(of_mcn)
    stale = {key: marked(benchmark) for key, benchmark in results.benchmarks.items()}
    write_probes(of_mcn, replace(results, benchmarks=stale, checkpoint_sha256="0" * 64))
    run_mcn(root)
    assert of_mcn.read_bytes() == whole
    folder = root / "benchmarks" / "ucf101"
    aside = (folder / "store").rename(root / "aside")
    write_planted(folder)
    run_mcn(root)
    parts = read_probes(of_mcn).benchmarks["ucf101"].parts
    assert len(parts) == 9
    assert not any(part.missing or part.num_left_out for part in parts)
    shutil.rmtree(folder / "store")
    aside.rename(folder / "store")
    run_mcn(root)
    assert of_mcn.read_bytes() == whole


def test_a_run_on_other_features_is_left_out_unless_it_was_probed_on_its_own(
    root: Path, of_mcn: Path, tmp_path: Path
) -> None:
    path = root / "runs" / MCN.name / "config.yaml"
    text = path.read_text()
    begun = yaml.safe_load(text)
    path.write_text(yaml.safe_dump({**begun, "data": {**begun["data"], "video": "0" * 64}}))
    assert "was trained on other features" not in run_mcn(root)
    known = of_mcn.rename(tmp_path / PROBES)
    output = run_mcn(root)
    assert f"{MCN.name} was trained on other features (video) and is left out" in output
    known.rename(of_mcn)
    path.write_text(text)


def test_what_cannot_be_probed_says_why(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--published is for --task retrieval"):
        evaluate.main(evaluate.Arguments(root=root, task="probe", published=(tmp_path,)))
    (root / "benchmarks").rename(tmp_path / "benchmarks")
    with pytest.raises(FileNotFoundError, match="no benchmark of classes"):
        run_mcn(root)
    (tmp_path / "benchmarks").rename(root / "benchmarks")


def test_an_unprepared_benchmark_is_left_out_and_the_others_are_probed(
    root: Path, of_mcn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = of_mcn.read_bytes()
    folder = root / "benchmarks" / "esc50"
    change(of_mcn, "ucf101", parts=read_probes(of_mcn).benchmarks["ucf101"].parts[1:])
    aside = (folder / "store").rename(tmp_path / "store")
    run_mcn(root)
    written = read_probes(of_mcn).benchmarks
    assert len(written["ucf101"].parts) == 9
    assert len(written["esc50"].parts) == 15
    of_mcn.unlink()
    assert f"{MCN.name} cannot be probed" in run_mcn(root)
    assert set(read_probes(of_mcn).benchmarks) == {"ucf101"}
    alone = probe_features(Root(root), FEATURES, [RunFolder(root / "runs" / MCN.name)], QUICK)
    assert [set(results.benchmarks) for results in alone] == [{"ucf101"}]
    assert "ESC-50 has no features" in capsys.readouterr().out
    aside.rename(folder / "store")
    of_mcn.write_bytes(whole)


def test_probes_of_other_splits_are_left_out_of_what_was_not_asked_for(
    root: Path, of_mcn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = of_mcn.read_bytes()
    benchmark = read_probes(of_mcn).benchmarks["esc50"]
    sides = tuple(
        replace(side, groups=tuple(f"x{name}" for name in side.groups)) for side in benchmark.splits
    )
    change(of_mcn, "esc50", splits=sides)
    runs = [RunFolder(root / "runs" / name) for name in NAMES]
    found = written_probes(Root(root), runs)
    assert f"{MCN.name}: its probes on ESC-50 are of other splits" in capsys.readouterr().out
    assert [set(results.benchmarks) for results in found[:2]] == [{"ucf101"}, {"ucf101", "esc50"}]
    assert len(probe_tables(found)) == 2
    of_mcn.write_bytes(whole)
