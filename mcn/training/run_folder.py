"""The folder of one run: what it is, its metrics and its checkpoints; imports no torch."""

import dataclasses
import json
import subprocess
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from mcn.root import REPOSITORY
from mcn.training.config import ADDED_LATER, TrainConfig
from mcn.training.run_paths import RunPaths
from mcn.training.xdc.config import XdcConfig


class RunFolder(RunPaths):
    """The folder of one run, and what it is."""

    def check(self, config: TrainConfig | XdcConfig, data: dict[str, str] | None = None) -> None:
        """Make sure that no other run lives in this folder.

        Args:
            config: What is trained.
            data: Fingerprint of each store that it is trained on, and of weights it starts from;
                not looked at if not given.

        Raises:
            ValueError: Another run does; the message says what differs.
        """
        if not self.config.exists():
            return
        begun = yaml.safe_load(self.config.read_text())
        if isinstance(config, TrainConfig):
            defaults = {name: getattr(TrainConfig, name) for name in ADDED_LATER}
            begun["train"] = defaults | begun["train"]
        differing = [
            f"{part}.{name}: {begun[part].get(name)!r} there, {values.get(name)!r} asked for"
            for part, values in _identity(config, begun["data"] if data is None else data).items()
            for name in values | begun[part]
            if begun[part].get(name) != values.get(name)
        ]
        if differing:
            raise ValueError(
                f"{self.path} holds another run ({'; '.join(differing)}): "
                "give this one its own --run NAME, or remove that folder"
            )

    def claim(self, config: TrainConfig | XdcConfig, data: dict[str, str]) -> None:
        """Write down what this run is, with the commit of the code that began it."""
        if self.config.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        content = {**_identity(config, data), "code": git_commit()}
        replace_text(self.config, yaml.safe_dump(content, sort_keys=False))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`; a last line cut off by a kill is left out."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    aside = path.with_suffix(".tmp")
    aside.write_text(text)
    aside.replace(path)


def _identity(config: TrainConfig | XdcConfig, data: dict[str, str]) -> dict[str, dict[str, Any]]:
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain = {k: v.name if isinstance(v, Enum) else v for k, v in values.items()}
    return {"train": plain, "data": data}


def git_commit() -> str:
    """The commit of the code, with `-dirty` where it has been changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
