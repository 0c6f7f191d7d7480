import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mcn.losses import mms_loss
from mcn.stop import StoppedEarlyError, raise_on_signal
from mcn.training.distributed import (
    agree_to_stop,
    gather,
    gather_lines,
    num_local_ranks,
    process_group,
    stoppable_group,
    sum_over_ranks,
)
from slurm.local import run_ranks

DIM = 8
SHARES = {0: (0, 4), 1: (4, 6)}  # ranks may hold different numbers of rows


def gradient(model: nn.Module, first: int, stop: int) -> torch.Tensor:
    """Gradient of the contrastive loss, with rows `first:stop` of the batch on this rank."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(6, DIM, generator=generator)[first:stop]
    audio = torch.randn(6, DIM, generator=generator)[first:stop]
    mms_loss(gather(model(video)) @ gather(model(audio)).T).backward()
    (parameter,) = model.parameters()
    assert parameter.grad is not None
    return parameter.grad


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(DIM, DIM, bias=False)


def run_rank(results: Path) -> None:
    rank = int(os.environ["RANK"])
    with process_group() as device:
        grad = gradient(DistributedDataParallel(linear()), *SHARES[rank])
        mask = gather(torch.tensor([rank == 0] * (rank + 1)))
        empty = gather(torch.ones(rank, 2))
        total = sum_over_ranks(torch.tensor([1.0, rank]))
        lines = gather_lines(["\u2028a"] * rank + [f"from {rank}"], device)
        nothing = gather_lines([], device)
    torch.save(
        {
            "grad": grad,
            "mask": mask,
            "empty": empty,
            "total": total,
            "lines": lines + nothing,
            "local": num_local_ranks(),
        },
        results / f"{rank}.pt",
    )


@pytest.mark.slow
def test_two_ranks_compute_the_gradient_of_one(tmp_path: Path) -> None:
    run_ranks(partial(run_rank, tmp_path), num_ranks=2)
    alone = gradient(linear(), 0, 6)
    for rank in SHARES:
        result = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(result["grad"], alone)
        assert result["mask"].tolist() == [True, False, False]
        assert result["empty"].tolist() == [[1.0, 1.0]]
        assert result["total"].tolist() == [2.0, 1.0]
        assert result["local"] == 2
        assert result["lines"] == ["from 0", "\u2028a", "from 1"]


def test_alone_gathering_gives_back_what_came() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather(rows) is rows
    assert sum_over_ranks(torch.tensor(3)).item() == 3
    assert gather_lines(["one", ""], torch.device("cpu")) == ["one", ""]


def fail_on_rank_one() -> None:
    if os.environ["RANK"] == "1":
        raise SystemExit(7)
    with process_group():  # waits for rank 1, which never comes
        pass


@pytest.mark.slow
def test_when_one_rank_fails_the_others_are_ended() -> None:
    with pytest.raises(ChildProcessError, match="rank 1 ended with status 7"):
        run_ranks(fail_on_rank_one, num_ranks=2)


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGUSR2)


def be_asked_late(results: Path) -> None:
    rank = int(os.environ["RANK"])
    raise_on_signal()
    with stoppable_group("cpu") as (device, stop):
        nobody = agree_to_stop(stop, device)
        if rank == 0:
            ask_to_stop()
        agreed = agree_to_stop(stop, device)
    ask_to_stop()
    (results / str(rank)).write_text(f"{nobody} {agreed}")


@pytest.mark.slow
def test_a_rank_that_the_others_told_is_not_ended_by_its_own_signal(tmp_path: Path) -> None:
    run_ranks(partial(be_asked_late, tmp_path), num_ranks=2)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["False True"] * 2


def wait_for(is_asked: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_asked.exists():
        assert time.monotonic() < deadline, "the other was never asked"
        time.sleep(0.01)


def be_asked_while_the_other_saves(is_asked: Path) -> None:
    def ask() -> None:
        ask_to_stop()
        is_asked.touch()

    raise_on_signal()
    with stoppable_group("cpu"):
        if os.environ["RANK"] == "1":
            threading.Timer(0.5, ask).start()  # by when it waits to leave
            return
        wait_for(is_asked)


@pytest.mark.slow
def test_a_rank_that_waits_for_the_last_to_leave_is_not_ended_by_a_signal(tmp_path: Path) -> None:
    run_ranks(partial(be_asked_while_the_other_saves, tmp_path / "asked"), num_ranks=2)


def be_asked_before_all_are_there(is_asked: Path) -> None:
    def ask() -> None:
        ask_to_stop()
        is_asked.touch()

    if os.environ["RANK"] == "0":
        threading.Timer(0.5, ask).start()  # by when it waits, deep inside torch
    else:
        wait_for(is_asked)
    with pytest.raises(StoppedEarlyError, match="before it began"), stoppable_group("cpu"):
        raise AssertionError("it has begun")


@pytest.mark.slow
def test_ranks_leave_together_where_one_was_asked_as_it_waited_for_the_last(tmp_path: Path) -> None:
    run_ranks(partial(be_asked_before_all_are_there, tmp_path / "asked"), num_ranks=2)
