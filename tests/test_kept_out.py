"""What is counted of clips that were kept out, and what ranks that resume have in common."""

from functools import partial
from pathlib import Path

import pytest
import torch

from mcn.training.checkpoint import Checkpoint
from mcn.training.distributed import process_group, rank
from mcn.training.kept_out import kept_out_anywhere
from mcn.training.xdc.rounds import check_restored
from slurm.local import run_ranks

CPU = torch.device("cpu")


def checkpoint(step: int, num_clips: int) -> Checkpoint:
    labels = torch.zeros(num_clips, dtype=torch.int32)
    return Checkpoint({"labels.video": labels}, {"step": step, "round": 0})


def on_a_rank(path: Path) -> None:
    with process_group():
        assert kept_out_anywhere({"video": {"a": 1 + rank(), "b": 1}, "audio": {}}, CPU) == {
            "video": {"a": 3, "b": 2}
        }
        check_restored(checkpoint(3, 5), 5, path, CPU)
        check_restored(None, 5, path, CPU)
        for own in (checkpoint(3 + rank(), 5), checkpoint(3, 5) if rank() else None):
            with pytest.raises(ValueError, match=r"not all processes found the same .*last"):
                check_restored(own, 5, path, CPU)


@pytest.mark.slow
def test_ranks_add_up_what_they_kept_out_and_carry_on_from_one_state_or_not_at_all() -> None:
    run_ranks(partial(on_a_rank, Path("last")), num_ranks=2)


def test_labels_of_another_set_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels of \[5\] clips, and there are 6"):
        check_restored(checkpoint(3, 5), 6, Path("last"), CPU)


def test_convolutions_in_float32_are_not_rounded_to_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = True
    with process_group():
        assert not torch.backends.cudnn.allow_tf32
