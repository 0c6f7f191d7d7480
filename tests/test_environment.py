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


def test_benchmarks_measure_the_versions_of_users_but_for_numpy() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = (REPOSITORY / "tests" / "benchmarks" / "requirements.txt").read_text().splitlines()
    pinned = [line.partition("#")[0].strip() for line in lines if line and line[0] != "#"]
    assert all("==" in line for line in pinned)
    assert [pin for pin in project["dependencies"] if pin not in pinned] == ["numpy==2.4.6"]
