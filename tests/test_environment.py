import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def test_conda_users_get_the_versions_of_pip_users() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    (from_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert from_pip == [*project["dependencies"], "--editable ."]


def test_every_version_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert all("==" in dependency for dependency in project["dependencies"])
