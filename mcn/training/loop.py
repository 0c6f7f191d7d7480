"""Trains the stages of a run one after the other, from wherever it was left."""

from pathlib import Path

import torch
from torch import Tensor

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import Stores, fingerprints_of
from mcn.data.training_batches import Sampling, TrainingBatches
from mcn.sha256 import file_sha256
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.training.checkpoint import Checkpoint, load_checkpoint
from mcn.training.checkpoint_clock import CheckpointClock
from mcn.training.config import Runtime, TrainConfig
from mcn.training.distributed import agree_to_stop, device_type, rank, stoppable_group, world_size
from mcn.training.guard import Guard
from mcn.training.loader import default_workers, read_ahead
from mcn.training.model import load_davenet, new_model
from mcn.training.recording import recording
from mcn.training.run_folder import RunFolder
from mcn.training.run_writer import RunWriter, sole_writer
from mcn.training.stage import StageTrainer
from mcn.training.statistics import set_input_statistics
from mcn.training.waiting import WaitingForData


def train(
    config: TrainConfig,
    runtime: Runtime,
    stores: Stores,
    run: RunFolder,
    *,
    progress_file: Path | None = None,
) -> None:
    """Bring the run to its end: `run.final` is there afterwards.

    A run that was killed carries on from its last checkpoint and ends with the same bits, on the
    same hardware and number of processes.

    Raises:
        StoppedEarlyError: A signal asked to stop; the state is saved.
        FloatingPointError: A loss or gradient is not finite, and the run is not to skip it.
        ValueError: The run's folder holds another run.
    """
    fingerprints = fingerprints_of(stores)
    if config.audio_weights != "random":
        fingerprints["audio-weights"] = _sha256(Path(config.audio_weights))
    run.check(config, fingerprints)
    if run.final.exists():
        return
    with (
        stoppable_group(device_type(runtime.device)) as (device, stop),
        sole_writer(run) as writer,
    ):
        if writer is not None:
            run.claim(config, fingerprints)
        reader = ClipReader(stores, config.form)
        loop = _Loop(config, runtime, reader, run, device, stop, writer)
        is_complete = loop.carry_on(progress_file)
    if not is_complete:
        raise StoppedEarlyError(
            f"{run.path.name}: asked to stop, saved at step {loop.step} of {loop.num_steps}; "
            "the same command carries on"
        )


def _sha256(weights: Path) -> str:
    """What a run started from is part of what it is, as its features are."""
    if not weights.is_file():
        raise FileNotFoundError(f"--audio-weights {weights}: there is no such file")
    return file_sha256(weights)


class _Loop:
    """A run under way: where it stands, and when to save."""

    def __init__(
        self,
        config: TrainConfig,
        runtime: Runtime,
        reader: ClipReader,
        run: RunFolder,
        device: torch.device,
        stop: StopRequest,
        writer: RunWriter | None,
    ) -> None:
        self.config = config
        self.runtime = runtime
        self.run = run
        self.device = device
        self.stop = stop
        self.writer = writer
        sampling = Sampling(
            seed=config.seed,
            batch_size=config.batch_size,
            clips_per_video=config.clips_per_video,
            min_clip_seconds=config.min_clip_seconds,
            max_words=config.max_words,
            shuffled_captions=config.control == "shuffled-captions",
            clip_draws=config.clip_draws,
            audio_window=config.audio_window,
            candidates=config.candidates,
        )
        self.batches = TrainingBatches(reader, sampling, rank=rank(), world_size=world_size())
        self.stage_lengths = [n * self.batches.steps_per_epoch for n in config.epochs]
        self.num_steps = sum(self.stage_lengths)
        self.step = 0

    def carry_on(self, progress_file: Path | None) -> bool:
        """Train to the end, or until asked to stop; says whether the run is complete."""
        saved = load_checkpoint(self.run.last) if self.run.last.exists() else None
        self._restore_model(saved)
        self.clock = CheckpointClock(self.runtime)
        guard = Guard(
            self.run,
            self.runtime.on_nonfinite,
            self.device,
            first_step=self.step,
            num_steps=self.num_steps,
            skipped_in_a_row=0 if saved is None else saved.meta["skipped_in_a_row"],
        )
        with (
            recording(
                self.run, step=self.step, num_steps=self.num_steps, progress_file=progress_file
            ) as (log, progress),
            read_ahead(
                self.batches,
                range(self.step, self.num_steps),
                workers=self._workers(),
                device=self.device,
            ) as batches,
        ):
            waiting = WaitingForData(progress)
            stage_end = 0
            for index, objective in enumerate(self.config.stage.value):
                stage_start, stage_end = stage_end, stage_end + self.stage_lengths[index]
                if self.step >= stage_end:
                    continue
                length = self.stage_lengths[index]
                trainer = StageTrainer(self.config, objective, self.model, num_steps=length)
                if saved is not None and saved.meta["stage"] == index:
                    trainer.load_state(saved)
                while self.step < stage_end:
                    with waiting:
                        batch = next(batches)
                    result = trainer.step(batch, self.step - stage_start)
                    guard.look(batch, result, step=self.step, stage=index)
                    log.write(self.step, index, self.step // self.batches.steps_per_epoch, result)
                    log.write_waiting(self.step, waiting.share)
                    self.step += 1
                    progress.advance()
                    is_stopping = agree_to_stop(self.stop, self.device)
                    if is_stopping or self.step == stage_end or self.clock.is_due(self.step):
                        self._save(index, trainer, guard)
                    if is_stopping and self.step < self.num_steps:
                        return False
        if self.writer is not None:
            self.writer.finish()
        return True

    def _restore_model(self, saved: Checkpoint | None) -> None:
        reader = self.batches.reader
        self.model = new_model(self.config, reader.dims).to(self.device)
        self.model.know_words(reader.word_vectors.to(self.device))
        if saved is None:
            if self.config.audio_weights != "random":
                load_davenet(self.model, Path(self.config.audio_weights))
            num_batches = self.config.statistics_batches
            set_input_statistics(self.model, self.batches, num_batches=num_batches)
            return
        self.model.load_state_dict(saved.part("model"))
        torch.set_rng_state(saved.tensors["random_state"])
        self.step = saved.meta["step"]

    def _workers(self) -> int:
        asked = self.runtime.loader_workers
        return default_workers(self.batches) if asked is None else asked

    def _save(self, stage: int, trainer: StageTrainer, guard: Guard) -> None:
        self.clock.saved()
        if self.writer is None:
            return
        model: dict[str, Tensor] = self.model.state_dict()
        tensors = {
            **{f"model.{name}": value for name, value in model.items()},
            **trainer.state(),
            "random_state": torch.get_rng_state(),
        }
        meta = {
            "step": self.step,
            "stage": stage,
            "skipped_in_a_row": guard.skipped_in_a_row,
            **self.model.described,
        }
        self.writer.save(Checkpoint(tensors, meta))
