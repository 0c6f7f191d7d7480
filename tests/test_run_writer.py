"""Two processes on one run: one trains it, and the other learns that it does not."""

from pathlib import Path

import pytest
import torch

from mcn.store.layout import lease_folder
from mcn.store.lease import LeaseLostError, ShardBusyError, acquire
from mcn.training.checkpoint import Checkpoint, load_checkpoint
from mcn.training.run_folder import RunFolder
from mcn.training.run_writer import sole_writer
from tests.shards import RENEWED, elsewhere
from tests.stores import write_stores
from tests.xdc_runs import NUM_VIDEOS, train_here


def state(step: int) -> Checkpoint:
    return Checkpoint({"weight": torch.full((3,), float(step))}, {"step": step})


def test_a_run_that_another_machine_trains_is_refused_and_left_alone(tmp_path: Path) -> None:
    write_stores(tmp_path / "store", num_videos=NUM_VIDEOS)
    run = RunFolder(tmp_path / "runs" / "busy")
    with (
        acquire(lease_folder(run.last), elsewhere(), lease_seconds=RENEWED),
        pytest.raises(ShardBusyError, match="on node7 is writing it"),
    ):
        train_here(tmp_path, "busy")
    assert not run.config.exists() and not run.metrics.exists()
    assert train_here(tmp_path, "busy").final.exists()


def test_who_lost_the_run_to_another_process_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCN_LEASE_OWNER", "job")
    run = RunFolder(tmp_path)
    with sole_writer(run) as given_up:
        assert given_up is not None
        given_up.save(state(1))
        acquire(lease_folder(run.last), elsewhere("job")).release()
        with sole_writer(run) as successor:
            assert successor is not None
            successor.save(state(2))
            for late in (lambda: given_up.save(state(1)), given_up.finish):
                with pytest.raises(LeaseLostError, match="taken over by"):
                    late()
            assert load_checkpoint(run.last).meta == {"step": 2}
            successor.finish()
    assert load_checkpoint(run.final).meta == {"step": 2}


def test_what_a_killed_writer_left_aside_is_cleared_away(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.last.parent.mkdir()
    half = run.last.with_suffix(".1.tmp")
    half.write_bytes(b"half a state")
    with sole_writer(run) as writer:
        assert writer is not None and not half.exists()
