"""What is done about values that are not finite: they are put on record, and the run goes on or
stops.

`nonfinite.jsonl` has a line for every step with clips that were kept out and for every step that
was left out. Of the latter the first few batches lie in `nonfinite/`, each rank's share in a file.
Like the metrics, both are the same after a kill.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mcn.data.batches import ClipBatch
from mcn.modality import Modality
from mcn.training.checkpoint import Checkpoint, save_checkpoint
from mcn.training.config import OnNonfinite
from mcn.training.distributed import rank
from mcn.training.fault import Fault
from mcn.training.kept_out import kept_out_anywhere
from mcn.training.run_folder import RunFolder, read_metrics, replace_text
from mcn.training.stepper import StepResult

MOST_BATCHES_SAVED = 10
MOST_SKIPPED_IN_A_ROW = 100


class Guard:
    """Looks at the result of every step, on every rank."""

    def __init__(
        self,
        run: RunFolder,
        on_nonfinite: OnNonfinite,
        device: torch.device,
        *,
        first_step: int,
        num_steps: int,
        skipped_in_a_row: int,
    ) -> None:
        """Drops what a killed run recorded after its last checkpoint.

        Args:
            run: Where things are recorded.
            on_nonfinite: Whether a step that was left out ends the run.
            device: Of this rank.
            first_step: Of the run, from which this process carries on.
            num_steps: Of the whole run; a short one is given less patience.
            skipped_in_a_row: As it was at the checkpoint.
        """
        self.run = run
        self.on_nonfinite = on_nonfinite
        self.device = device
        self.skipped_in_a_row = skipped_in_a_row
        self.patience = min(MOST_SKIPPED_IN_A_ROW, max(3, num_steps // 10))
        if rank() == 0 and run.nonfinite_log.exists():
            kept = [row for row in read_metrics(run.nonfinite_log) if row["step"] < first_step]
            replace_text(run.nonfinite_log, "".join(json.dumps(row) + "\n" for row in kept))

    def look(self, batch: ClipBatch, result: StepResult, *, step: int, stage: int) -> None:
        """Record what was not finite in a step; steps and stages count from 0, over the run.

        Raises:
            FloatingPointError: The run is to stop; the weights are as they were before the step.
        """
        where = {"step": step, "stage": stage + 1}
        if result.num_kept_out:
            kept_out = kept_out_anywhere(batch.kept_out, self.device)
            self._record({**where, "kept_out": kept_out})
        if result.fault is None:
            self.skipped_in_a_row = 0
            return
        self.skipped_in_a_row += 1
        self._record({**where, "skipped": asdict(result.fault)})
        saved = self._save(batch, result.fault, where)
        problem = f"step {step}: {result.fault}; {saved}"
        if self.on_nonfinite == "stop":
            raise FloatingPointError(
                f"{problem}. Weights and optimiser are as before the step; the same command with "
                "--on-nonfinite skip carries on from the last checkpoint and leaves such steps out"
            )
        if result.fault.what == "weights":
            raise FloatingPointError(
                f"{problem}. No later step can mend this: begin the run anew, with a smaller --lr"
            )
        if self.skipped_in_a_row >= self.patience:
            raise FloatingPointError(
                f"{problem}. That makes {self.skipped_in_a_row} steps left out in a row, so the "
                "cause is in the run and not in single clips: begin it anew with a smaller --lr, "
                "or with --precision fp32 if it had bf16"
            )

    def note_kept_out(
        self, kept_out: Mapping[Modality, Mapping[str, int]], *, step: int, stage: int
    ) -> None:
        """Record clips kept out of a modality before a step, of all ranks, if there are any."""
        if kept_out:
            self._record({"step": step, "stage": stage + 1, "kept_out": kept_out})

    def _record(self, row: dict[str, Any]) -> None:
        if rank() == 0:
            with self.run.nonfinite_log.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def _save(self, batch: ClipBatch, fault: Fault, where: dict[str, int]) -> str:
        """Save this rank's share of the first few batches; says where, or that it was not."""
        folder = self.run.nonfinite_batches
        described = folder / f"step{where['step']:06d}-rank{rank()}.json"
        num_saved = len(list(folder.glob(f"*-rank{rank()}.json")))
        if num_saved >= MOST_BATCHES_SAVED and not described.exists():
            return f"the batch is not saved, {folder} holds {num_saved}"
        tensors = {
            "video": batch.video,
            "audio": batch.audio,
            "words": batch.words,
            "is_word": batch.is_word,
            **({} if batch.other_words is None else {"other_words": batch.other_words}),
            **({} if batch.audio_frames is None else {"audio_frames": batch.audio_frames}),
            **{f"has.{modality}": mask for modality, mask in batch.has.items()},
        }
        meta = {**where, "first": asdict(fault), "video_of_each_clip": batch.video_ids}
        save_checkpoint(described.with_suffix(".safetensors"), Checkpoint(tensors, meta))
        replace_text(described, json.dumps(meta, indent=2) + "\n")
        return f"the batch is in {described.with_suffix('.safetensors')}"


def nonfinite_summary(path: Path) -> str | None:
    """What a run's `nonfinite.jsonl` says, in one line; None where it is not there."""
    if not path.exists():
        return None
    rows = read_metrics(path)
    num_skipped = sum("skipped" in row for row in rows)
    videos = {
        video for row in rows for clips in row.get("kept_out", {}).values() for video in clips
    }
    return (
        f"{num_skipped} steps left out, and clips of {len(videos)} videos kept out of a modality "
        f"since they were not finite or could not be read; {path} names them"
    )
