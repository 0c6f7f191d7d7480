"""What a trained run is before anything is known of what it achieves; imports no torch."""

from collections.abc import Mapping
from typing import Any

import yaml

from mcn.evaluation.results import RunResults
from mcn.sha256 import file_sha256
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import model_name_of


def nothing_evaluated(run: RunFolder) -> RunResults:
    """What a complete run is, without results."""
    config = yaml.safe_load(run.config.read_text())["train"]
    return RunResults(
        run=run.path.name,
        model=model_of(config),
        stage=config.get("stage", ""),
        seed=config["seed"],
        control=config.get("control", "none"),
        checkpoint_sha256=file_sha256(run.final),
        missing_audio="miss",
        benchmarks={},
        localization={},
    )


def model_of(config: Mapping[str, Any]) -> str:
    """As that of the configs; runs of before say nothing of it."""
    model: str = config.get("model", "mcn")
    if model == "xdc":
        return model_name_of(model, config["method"], config.get("inputs", "features"))
    return f"{model}-{config['space']}" if model == "mmv" else model
