import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
CODE = ("jobs", "slurm", "extractors", "mcn")


def mapped_files() -> dict[str, str]:
    """Path and description of every file in the map, from its indentation."""
    section = (REPOSITORY / "README.md").read_text().split("## The tree")[1].split("\n## ")[0]
    files, folders = {}, [""]
    for line in section.splitlines():
        entry = re.fullmatch(r"    ( *)(\S+)(?:\s+(\S.*))?", line)
        if entry is None:
            continue
        depth, name, description = len(entry[1]) // 2, entry[2], entry[3] or ""
        folders = folders[: depth + 1]
        path = folders[depth] + name
        if name.endswith("/"):
            folders.append(path)
        else:
            files[path] = description
    return files


def files_of_the_tree() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", *CODE], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the tree is not known")
    paths = [Path(line) for line in listed.stdout.splitlines()]
    return {str(path) for path in paths if path.name != "__init__.py"}


def test_the_map_in_the_readme_is_the_tree() -> None:
    assert set(mapped_files()) == files_of_the_tree()


def test_every_file_in_the_map_says_in_a_few_words_what_it_is_for() -> None:
    assert [path for path, description in mapped_files().items() if not description] == []
