import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from mcn.store.summary import modality_folders, shard_files, summarise
from tests.shards import PROVENANCE, TEXT, VIDEO, done, failed, write_shard, writer

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Video with a sealed shard and one under construction, text, and a benchmark's video."""
    video = tmp_path / "store" / "video-resnet152"
    write_shard(video / "00000.h5", [done("a"), failed("b"), done("c")])
    with writer(video / "00001.h5", ["d", "e", "f"], provenance={"device": "cuda"}) as shard:
        shard.append(done("d", num_rows=9))
        shard.append(failed("e"))
    text = [done("a", with_spans=True)]
    write_shard(tmp_path / "store" / "text-word2vec" / "00000.h5", text, fingerprint=TEXT)
    held_out = tmp_path / "benchmarks" / "youcook2" / "store" / "video-resnet152"
    write_shard(held_out / "00000.h5", [done("held out")])
    (tmp_path / "store" / "plans").mkdir()
    return tmp_path


def store_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, REPOSITORY / "jobs" / "store.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_a_summary_counts_what_is_sealed_and_what_is_under_construction(root: Path) -> None:
    summary = summarise(shard_files(root / "store" / "video-resnet152"))
    assert (summary.sealed, summary.under_construction) == (1, 1)
    assert summary.records_under_construction == 2
    assert (summary.planned, summary.done, summary.failed, summary.rows) == (6, 3, 2, 15)
    assert summary.fingerprints == {VIDEO.digest(): VIDEO}
    assert sorted(summary.provenances.values()) == [2, 3]
    assert summary.unreadable == []


def test_videos_that_are_done_though_damaged_are_counted(root: Path) -> None:
    folder = root / "store" / "video-resnet152"
    partly = dataclasses.replace(done("g"), completeness=0.96)
    write_shard(folder / "00002.h5", [partly, done("h", num_errors=3), done("i")])
    assert summarise(shard_files(folder)).damaged == 2


def test_a_video_that_was_tried_again_is_counted_once(root: Path) -> None:
    folder = root / "store" / "video-resnet152"
    write_shard(folder / "00002.h5", [done("b"), failed("e")])
    with writer(folder / "00003.h5", ["e", "f"]) as shard:
        shard.append(failed("e"))
    summary = summarise(shard_files(folder))
    assert (summary.planned, summary.done, summary.failed) == (6, 4, 1)


def test_a_journal_beside_its_sealed_shard_is_not_counted_twice(root: Path) -> None:
    folder = root / "store" / "text-word2vec"
    (folder / "00000.1.journal").write_bytes(b"left by a crash")
    assert summarise(shard_files(folder)).planned == 1


def test_folders_without_shards_are_no_modalities(root: Path) -> None:
    names = [folder.name for folder in modality_folders(root / "store")]
    assert names == ["text-word2vec", "video-resnet152"]


def test_inspect_shows_every_store_and_what_made_it(root: Path) -> None:
    run = store_command("inspect", "--root", root)
    assert run.returncode == 0, run.stderr
    for text in (
        "store/video-resnet152",
        "store/text-word2vec",
        "benchmarks/youcook2/store/video-resnet152",
        "1 (2 records)",
        VIDEO.digest()[:12],
        "recipe.short_side: 224",
        "device: cuda",
        f"threads: {PROVENANCE['threads']}",
    ):
        assert text in run.stdout


def test_inspect_says_where_fingerprints_are_mixed(root: Path) -> None:
    other = dataclasses.replace(VIDEO, weights_sha256="7" * 64)
    folder = root / "store" / "video-resnet152"
    write_shard(folder / "00002.h5", [done("new")], fingerprint=other)
    run = store_command("inspect", folder)
    assert "MIXED" in run.stdout
    assert other.digest()[:12] in run.stdout


def test_verify_reads_the_stores_of_the_benchmarks_too(root: Path) -> None:
    run = store_command("verify", "--root", root)
    assert run.returncode == 0, run.stderr
    assert "3 of 3 sealed shards are sound" in run.stdout


def test_verify_names_the_broken_shard_what_is_wrong_and_the_way_out(root: Path) -> None:
    path = root / "benchmarks" / "youcook2" / "store" / "video-resnet152" / "00000.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    run = store_command("verify", "--root", root)
    assert run.returncode == 1
    for text in (str(path), "'held out': features do not match", "jobs/extract.py", "2 of 3"):
        assert text in run.stdout


def test_commands_on_nothing_say_what_makes_shards(tmp_path: Path) -> None:
    for arguments in (["verify", "--root", tmp_path], ["inspect", tmp_path / "missing"]):
        run = store_command(*arguments)
        assert run.returncode == 1
        assert run.stderr.startswith("error: ")
        assert str(tmp_path) in run.stderr
