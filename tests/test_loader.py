import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mcn.data.clip_form import ClipForm
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import Features, open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.progress import Progress
from mcn.stop import STOP_SIGNALS, stop_on_signal
from mcn.training.distributed import cpus_of_rank
from mcn.training.loader import MOST_WORKERS, clip_bytes, default_workers, read_ahead, workers_for
from mcn.training.waiting import FORGETS, WaitingForData
from tests.stores import FEATURES, SPECTROGRAMS, ids_of_stores, write_spectrograms, write_stores
from tests.test_training_batches import SAMPLING

CPU = torch.device("cpu")
STEPS = range(3, 40)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> TrainingBatches:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=12, clips_per_video=4)
    return TrainingBatches(ClipReader(open_stores(folder, FEATURES)), SAMPLING)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_the_order_of_their_steps(batches: TrainingBatches, workers: int) -> None:
    with read_ahead(batches, STEPS, workers=workers, device=CPU) as read:
        for step in STEPS:
            batch, expected = next(read), batches[step]
            assert batch.video_ids == expected.video_ids
            assert batch.video.equal(expected.video) and batch.words.equal(expected.words)


def test_readers_end_with_the_block_also_in_the_middle_of_the_steps(
    batches: TrainingBatches,
) -> None:
    state = torch.get_rng_state()
    with read_ahead(batches, STEPS, workers=2, device=CPU) as read:
        next(read)
        readers = multiprocessing.active_children()
        assert len(readers) == 2
    assert not any(reader.is_alive() for reader in readers)
    assert torch.get_rng_state().equal(state)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def in_a_group_of_its_own(
    work: Callable[[TrainingBatches, Connection], None], batches: TrainingBatches
) -> tuple[BaseProcess, Connection]:
    """A process that reads with others, as a job does: signals may be sent to all of them."""
    here, there = multiprocessing.Pipe()

    def begin() -> None:
        os.setsid()
        work(batches, there)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    there.close()
    return process, here


def read_through_signals(batches: TrainingBatches, told: Connection) -> None:
    with stop_on_signal() as stop, read_ahead(batches, STEPS, workers=2, device=CPU) as read:
        next(read)
        told.send("reading")
        while not stop.is_set:
            time.sleep(0.01)
        time.sleep(0.2)  # for the readers to die, if they do
        told.send([next(read).video_ids for _ in STEPS[1:]])


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_readers_do_not_hear_the_signals_that_ask_to_stop(
    batches: TrainingBatches, number: signal.Signals
) -> None:
    process, told = in_a_group_of_its_own(read_through_signals, batches)
    assert told.recv() == "reading"
    assert process.pid is not None
    os.killpg(process.pid, number)
    assert told.recv() == [batches[step].video_ids for step in STEPS[1:]]
    process.join()
    assert process.exitcode == 0


def read_for_ever(batches: TrainingBatches, told: Connection) -> None:
    with read_ahead(batches, STEPS, workers=2, device=CPU) as read:
        next(read)
        told.send([reader.pid for reader in multiprocessing.active_children()])
        time.sleep(600)


def test_readers_do_not_outlive_the_process_that_trains(batches: TrainingBatches) -> None:
    process, told = in_a_group_of_its_own(read_for_ever, batches)
    readers = told.recv()
    assert len(readers) == 2
    process.kill()
    process.join()
    deadline = time.monotonic() + 60
    while any(is_running(reader) for reader in readers):
        assert time.monotonic() < deadline, "readers are left"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_rank_has_the_processors_it_is_told_of_else_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CPUS_PER_RANK", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    allowed = len(os.sched_getaffinity(0))
    assert cpus_of_rank() == allowed
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cpus_of_rank() == max(1, allowed // 2)
    monkeypatch.setenv("CPUS_PER_RANK", "7")
    assert cpus_of_rank() == 7


@pytest.mark.parametrize("cpus, workers", [(1, 0), (2, 1), (4, 3), (64, MOST_WORKERS)])
def test_every_processor_reads_but_the_one_that_trains(
    batches: TrainingBatches, monkeypatch: pytest.MonkeyPatch, cpus: int, workers: int
) -> None:
    monkeypatch.setenv("CPUS_PER_RANK", str(cpus))
    assert default_workers(batches) == workers


def test_raw_clips_are_decoded_on_all_processors_but_one(
    batches: TrainingBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPUS_PER_RANK", "16")
    assert workers_for(1000, most=cpus_of_rank()) == 15 and workers_for(1000) == MOST_WORKERS


def test_nobody_reads_ahead_more_than_shared_memory_holds(
    batches: TrainingBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPUS_PER_RANK", "8")
    huge = replace(SAMPLING, batch_size=10**12)
    assert default_workers(TrainingBatches(batches.reader, huge)) == 0


@pytest.mark.parametrize("features", [FEATURES, SPECTROGRAMS], ids=["rows", "spectrograms"])
def test_a_batch_on_its_way_is_as_large_as_is_reckoned(tmp_path: Path, features: Features) -> None:
    write_stores(tmp_path, num_videos=4)
    write_spectrograms(tmp_path, ids_of_stores(4))
    form = ClipForm(spectrogram_frames=400 if features is SPECTROGRAMS else None)
    reader = ClipReader(open_stores(tmp_path, features), form)
    batches = TrainingBatches(reader, replace(SAMPLING, candidates=3))
    batch = batches[0]
    tensors = [value for value in vars(batch).values() if isinstance(value, Tensor)]
    actual = sum(tensor.nbytes for tensor in tensors)
    assert actual == pytest.approx(len(batch) * clip_bytes(batches), rel=0.3)


def test_the_wait_for_data_is_a_share_of_all_time() -> None:
    now = 0.0
    waits = np.array([0.01, 0.4, 0.02, 0.0, 0.3, 0.05, 0.01, 9.0])
    steps = np.add(waits, [0.1, 0.2, 0.1, 0.5, 0.1, 0.3, 0.1, 9.0])
    with Progress("train", total=9, unit="steps", is_shown=False) as progress:
        waiting = WaitingForData(progress, clock=lambda: now)
        for wait, step in zip(waits, steps, strict=True):
            with waiting:
                now += wait
            now += step - wait
    weights = [(1 - FORGETS) ** -number for number in range(7)]  # the newest step is not over yet
    share = np.average(waits[:7], weights=weights) / np.average(steps[:7], weights=weights)
    assert waiting.share == pytest.approx(share)
    assert progress.note == f"waits {waiting.share:.1%} for data"


def test_what_takes_long_is_shown_before_there_is_a_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "progress.json"
    with Progress("train", total=9, unit="steps", file=file) as progress:
        progress.show_note("clusters")
        assert "train: 0/9 steps, clusters" in capsys.readouterr().err
        assert json.loads(file.read_text())["note"] == "clusters"
