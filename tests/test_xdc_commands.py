"""XDC in the commands that all models share."""

import shutil
from pathlib import Path

import pytest
import yaml

from jobs import evaluate, study, study_runs, train
from mcn.objectives import Stage
from mcn.training.config import TrainConfig
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import DEMO, XdcConfig
from tests.stores import FEATURES, write_stores

SIZES = {
    "clusters": 4,
    "rounds": 1,
    "epochs-per-round": 1,
    "batch-size": 16,
    "clip-seconds": 4,
    "clips-per-video": 5,
    "pca-dim": 4,
    "hidden-dim": 16,
    "out-dim": 8,
}
WORDS = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]
HERE = ["--cluster", "debug", "--device", "cpu", "--loader-workers", "0", "--cpus-per-task", "1"]


def test_the_model_decides_which_options_there_are() -> None:
    parsed = train.parse(["--model", "xdc", "--method", "cdc", "--clusters", "9"])
    assert parsed.config == XdcConfig(method="cdc", clusters=9)
    assert train.parse(["--model=xdc", "--preset", "demo"]).config == XdcConfig(**DEMO)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--stage", "AV_T"], "--stage is of mcn and mmv"),
        (["--stage=AVT"], "xdc always trains video and audio"),
        (["--preset", "published"], "--preset published: of xdc there is default and demo"),
    ],
)
def test_what_only_other_models_have_is_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        train.parse(["--model", "xdc", *words])


def test_a_study_trains_each_method_once_and_needs_no_words_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stores(tmp_path / "store", num_videos=5)
    for folder in (FEATURES.text, "words"):
        shutil.rmtree(tmp_path / "store" / folder)
    asked = study.Arguments(models="xdc-xdc,xdc-sdc", stages="AVT,AT_V", root=tmp_path)
    study.main(asked, [*HERE, *WORDS])
    trained = {path.name for path in (tmp_path / "runs").iterdir()}
    assert trained == {"xdc-xdc-seed0", "xdc-sdc-seed0"}
    for name in trained:
        run = RunFolder(tmp_path / "runs" / name)
        assert run.final.exists()
        assert yaml.safe_load(run.config.read_text())["data"].keys() == {"video", "audio"}
        assert run.snapshot.read_bytes() == (tmp_path / "report/study/snapshot.json").read_bytes()
    capsys.readouterr()
    study.main(asked, [*HERE, *WORDS])
    assert "steps" not in capsys.readouterr().err, "trained again"
    evaluate.main(evaluate.Arguments(root=tmp_path))
    left_out = capsys.readouterr().out.splitlines()
    assert len(left_out) == 2
    assert all("learns no space that modalities share; --task probe" in line for line in left_out)


def test_a_study_has_xdc_once_and_others_in_every_order_and_begins_with_what_any_reads() -> None:
    stages = [Stage.AVT, Stage.AT_V]
    assert study_runs._orders_of("xdc-cdc", stages) == [[]]
    assert study_runs._orders_of("mmv-fac", stages) == [["--stage", "AVT"]]
    assert study_runs._orders_of("mcn", stages) == [["--stage", "AVT"], ["--stage", "AT_V"]]
    assert "text" not in train.sources_of(XdcConfig())
    assert "text" in train.sources_of(TrainConfig(stage=Stage.AVT))
