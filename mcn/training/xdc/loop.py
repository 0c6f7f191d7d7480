"""Trains XDC: clusters all clips, learns the numbers of the clusters, and again."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mcn.data.clip_source import ClipSource
from mcn.models.xdc import Xdc, XdcDims
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.training.checkpoint import Checkpoint, load_checkpoint
from mcn.training.checkpoint_clock import CheckpointClock
from mcn.training.config import Runtime
from mcn.training.distributed import (
    agree_to_stop,
    cpus_of_rank,
    device_type,
    patient_group,
    rank,
    stoppable_group,
    world_size,
)
from mcn.training.guard import Guard
from mcn.training.loader import read_ahead, workers_for
from mcn.training.metrics_log import MetricsLog
from mcn.training.recording import recording
from mcn.training.run_folder import RunFolder
from mcn.training.run_writer import RunWriter, sole_writer
from mcn.training.stepper import Stepper
from mcn.training.unread import UnreadVideos
from mcn.training.waiting import WaitingForData
from mcn.training.xdc.beginning import begin_with, check_sizes
from mcn.training.xdc.clustering import category_numbers, seed_of
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.draws import DrawnBatches, Draws
from mcn.training.xdc.extraction import CLIPS_AT_ONCE, Extraction
from mcn.training.xdc.kept_features import KeptFeatures, identity_of
from mcn.training.xdc.learner import XdcLearner
from mcn.training.xdc.numbered import NumberedClips
from mcn.training.xdc.rounds import PseudoLabels, check_restored, new_pseudo_labels


def train_xdc(
    config: XdcConfig,
    runtime: Runtime,
    source: ClipSource,
    run: RunFolder,
    *,
    data: dict[str, str],
    categories: Mapping[str, str],
    progress_file: Path | None = None,
) -> None:
    """Bring the run to its end: `run.final` is there afterwards.

    A run that was killed carries on from its last checkpoint and ends with the same bits, on the
    same hardware and number of processes.

    Args:
        config: What is trained.
        runtime: How.
        source: All clips.
        run: Where it lives.
        data: Fingerprint of what the clips are read from, by name.
        categories: Of videos, where they are known; clusterings are held against them.
        progress_file: Where other processes read how far it is.

    Raises:
        StoppedEarlyError: A signal asked to stop; the state is saved.
        FloatingPointError: A loss or gradient is not finite, and the run is not to skip it.
        ValueError: The run's folder holds another run, or there are too few clips.
    """
    run.check(config, data)
    if run.final.exists():
        return
    with (
        stoppable_group(device_type(runtime.device)) as (device, stop),
        sole_writer(run) as writer,
    ):
        check_sizes(config, num_clips=len(source.places))
        if writer is not None:
            run.claim(config, data)
        loop = _Loop(config, runtime, source, run, device, stop, writer, categories)
        is_complete = loop.carry_on(progress_file)
    if not is_complete:
        raise StoppedEarlyError(
            f"{run.path.name}: asked to stop, saved at step {loop.step} of {loop.num_steps}; "
            "the same command carries on"
        )


class _Loop:
    """A run under way: where it stands, and when to save."""

    def __init__(
        self,
        config: XdcConfig,
        runtime: Runtime,
        source: ClipSource,
        run: RunFolder,
        device: torch.device,
        stop: StopRequest,
        writer: RunWriter | None,
        categories: Mapping[str, str],
    ) -> None:
        self.config = config
        self.source = source
        self.run = run
        self.runtime = runtime
        self.device = device
        self.stop = stop
        self.writer = writer
        self.categories = category_numbers(source.places.video_ids, categories)
        self.steps_per_epoch = -(-len(source.places) // config.batch_size)
        self.steps_per_round = config.epochs_per_round * self.steps_per_epoch
        self.num_steps = config.rounds * self.steps_per_round
        self.step = 0
        self.found: PseudoLabels | None = None
        self.clock = CheckpointClock(runtime)
        self.group = patient_group()
        self.clips_at_once = CLIPS_AT_ONCE[config.inputs]
        self.unread = UnreadVideos()

    def carry_on(self, progress_file: Path | None) -> bool:
        """Train to the end, or until asked to stop; says whether the run is complete."""
        saved = load_checkpoint(self.run.last) if self.run.last.exists() else None
        check_restored(saved, len(self.source.places), self.run.last, self.device)
        self._restore(saved)
        self.guard = Guard(
            self.run,
            self.runtime.on_nonfinite,
            self.device,
            first_step=self.step,
            num_steps=self.num_steps,
            skipped_in_a_row=0 if saved is None else saved.meta["skipped_in_a_row"],
        )
        with recording(
            self.run, step=self.step, num_steps=self.num_steps, progress_file=progress_file
        ) as (log, progress):
            while self.step < self.num_steps:
                round_number = self.step // self.steps_per_round
                if not self._has_labels(round_number, progress):
                    return False
                if not self._train_round(round_number, log, progress):
                    return False
        if self.writer is not None:
            self.writer.finish()
        return True

    def _has_labels(self, round_number: int, progress: Progress) -> bool:
        """Cluster, unless that is done; says whether the round can be trained."""
        if self.found is not None and self.found.round_number == round_number:
            return True
        if self.found is None:
            self._save()  # random weights, of which the first features are
        state = {"step": self.step, "round": round_number, "clips_at_once": self.clips_at_once}
        identity = identity_of(self.model, self.device, **state)
        kept = KeptFeatures(self.run.features_of_round(round_number), identity)
        found = new_pseudo_labels(
            self.config,
            self.model,
            self._extraction(kept),
            round_number,
            last=self.found,
            categories=self.categories,
            go_on=lambda done, total: self._goes_on(
                f"clusters for round {round_number + 1}: features {done}/{total}", progress
            ),
            show=progress.show_note,
        )
        if found is None:
            return False
        self.found = found
        for parameter in self.model.renew_heads(seed_of(self.config, round_number)):
            self.stepper.optimizer.state.pop(parameter, None)
        self._save()
        return True

    def _goes_on(self, note: str, progress: Progress) -> bool:
        progress.note = note
        progress.advance(0)
        return not agree_to_stop(self.stop, self.device)

    def _train_round(self, round_number: int, log: MetricsLog, progress: Progress) -> bool:
        """From where it stands to the end of the round, unless asked to stop before."""
        assert self.found is not None
        if rank() == 0:  # the labels are saved
            KeptFeatures(self.run.features_of_round(round_number), {}).clear()
        begin = round_number * self.steps_per_round
        draws = Draws(
            self.config.terms,
            self.found.labels,
            seed=self.config.seed,
            round_number=round_number,
            batch_size=self.config.batch_size,
        )
        self.learner.learn_from(self.found.labels, draws)
        batches = DrawnBatches(self.source, draws, rank=rank(), world_size=world_size())
        steps = range(self.step, begin + self.steps_per_round)
        waiting = WaitingForData(progress)
        if self.step == begin:
            self.guard.note_kept_out(self.found.kept_out, step=begin, stage=0)
        with read_ahead(
            batches,
            steps,
            workers=self._workers(-(-self.config.batch_size // world_size())),
            device=self.device,
        ) as read:
            for step in steps:
                health = self.found.health if step == begin else {}
                self.learner.health = {"round": float(round_number + 1), **health}
                with waiting:
                    batch = next(read).to(self.device)
                self.unread.say(batch)
                result = self.stepper.take(batch, self.config.lr)
                self.guard.look(batch, result, step=step, stage=0)
                log.write(step, 0, step // self.steps_per_epoch, result)
                log.write_waiting(step, waiting.share)
                self.step += 1
                progress.advance()
                is_stopping = agree_to_stop(self.stop, self.device)
                if is_stopping or self.step == steps.stop or self.clock.is_due(self.step):
                    self._save()
                if is_stopping and self.step < self.num_steps:
                    return False
        return True

    def _restore(self, saved: Checkpoint | None) -> None:
        config, dims = self.config, self.source.dims
        torch.manual_seed(config.seed)
        known = {"video": dims["video"], "audio": dims["audio"], "hidden": config.hidden_dim}
        sizes = XdcDims(**known, clusters=config.clusters, out=config.encoder_dim)
        self.model = Xdc(
            sizes, method=config.method, inputs=config.inputs, pictures=config.pictures
        ).to(self.device)
        if saved is None:
            begin_with(
                self.model, config, self.source, self.device, clips_at_once=self.clips_at_once
            )
        else:
            self.model.load_state_dict(saved.part("model"))
            torch.set_rng_state(saved.tensors["random_state"])
            self.step = saved.meta["step"]
            self.found = PseudoLabels.of(saved, config)
        self.learner = XdcLearner(self.model, self.device)
        self.stepper = Stepper(
            self.model,
            self.learner,
            torch.optim.AdamW(
                self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
            ),
            precision=config.precision,
            any_batch=NumberedClips.of(self.source.read([0]), [0]),
        )
        if saved is not None:
            self.stepper.load_state(saved)

    def _extraction(self, kept: KeptFeatures) -> Extraction:
        return Extraction(
            source=self.source,
            kept=kept,
            device=self.device,
            precision=self.config.precision,
            clips_at_once=self.clips_at_once,
            workers=self._workers(self.clips_at_once),
            group=self.group,
            unread=self.unread,
            most_unread_percent=self.runtime.most_unread_percent,
        )

    def _workers(self, clips_at_once: int) -> int:
        asked = self.runtime.loader_workers
        if asked is not None:
            return asked
        batch_bytes = clips_at_once * self.source.read([0]).num_bytes
        if self.config.inputs == "clips":  # which decoding makes slower than any step
            return workers_for(batch_bytes, most=cpus_of_rank())
        return workers_for(batch_bytes)

    def _save(self) -> None:
        self.clock.saved()
        if self.writer is None:
            return
        found = self.found
        model: dict[str, Tensor] = self.model.state_dict()
        tensors = {
            **{f"model.{name}": value for name, value in model.items()},
            **self.stepper.state(),
            **({} if found is None else found.tensors()),
            "random_state": torch.get_rng_state(),
        }
        meta = {
            "step": self.step,
            "stage": 0,
            "skipped_in_a_row": self.guard.skipped_in_a_row,
            **({} if found is None else found.meta()),
            **self.model.described,
        }
        self.writer.save(Checkpoint(tensors, meta))
