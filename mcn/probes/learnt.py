"""A linear layer that is trained on clips, by AdamW, with or without what makes their rows."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mcn.models.standardize import Standardize
from mcn.probes.clip_batches import in_batches
from mcn.probes.clip_rows import HeldRows, MadeRows
from mcn.probes.rows import RowsOfClips
from mcn.probes.settings import ProbeSettings
from mcn.probes.sides import Videos
from mcn.training.schedule import warmup_cosine

Rows = HeldRows | MadeRows

SMALLEST_STD = 0.01
"""By which a dimension is divided at the least, as a share of the largest."""


class ClipClassifier(nn.Module):
    """Rows standardised by those of the clips that are trained on, and a linear layer.

    It begins at zero, so that nothing but the order of clips is left to chance.
    """

    def __init__(self, rows: Rows, first: Float[Tensor, "clips dim"], num_classes: int) -> None:
        """Takes what makes rows, those of the training clips as they are at first, and classes."""
        super().__init__()
        self.rows = rows
        self.standardize = Standardize(first.shape[1])
        stds = first.std(dim=0, correction=0)
        # A unit that is nearly dead at first would be blown up as soon as it learns.
        self.standardize.set_statistics(
            first.mean(dim=0), stds.clamp(min=SMALLEST_STD * float(stds.max()))
        )
        self.linear = nn.Linear(first.shape[1], num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def each(
        self, parts: Sequence[Sequence[int]], draw: int | None
    ) -> Iterator[tuple[Float[Tensor, "clips classes"], Bool[Tensor, " clips"]]]:
        """Logits of some clips after those of others, and which clips could be read."""
        for rows, there in self.rows.each(parts, draw):
            yield self.linear(self.standardize(rows)), there


class LearntProbe:
    """Trains on the clips of some videos, and classifies others by the mean over their clips."""

    def __init__(
        self,
        new_rows: Callable[[], Rows],
        first: RowsOfClips,
        settings: ProbeSettings,
        *,
        num_classes: int,
        device: torch.device,
    ) -> None:
        """Takes what the probe stands on.

        Args:
            new_rows: Makes what makes rows, anew for each training, as it was at first.
            first: Rows as they are at first, by which all are standardised.
            settings: Of the probe.
            num_classes: Of the benchmark.
            device: Where it learns.
        """
        self.new_rows = new_rows
        self.first = first
        self.settings = settings
        self.num_classes = num_classes
        self.device = device

    def classify(
        self, train: Videos, test: Videos
    ) -> tuple[Float[np.ndarray, "test_videos classes"], dict[str, float]]:
        """Probability of each class, and the number of epochs that was chosen.

        Raises:
            FloatingPointError: The loss is not finite any more.
        """
        epochs = self._choose_epochs(train) if self.settings.validation else self.settings.epochs
        classifier = next(islice(self._trained(train), epochs - 1, None))
        return self.probabilities(classifier, test), {"epochs": epochs}

    def _choose_epochs(self, train: Videos) -> int:
        """After how many most of the videos held back are right, and of equals likeliest so."""
        folds = train.folds(round(1 / self.settings.validation), self.settings.seed)
        kept, held = next(iter(folds.split(train.ids, train.labels, train.groups)))
        known, unknown = train.only(kept), train.only(held)
        own = (np.arange(len(held)), unknown.labels)
        scores = []
        for classifier in self._trained(known):
            shares = self.probabilities(classifier, unknown)
            is_right = shares.argmax(axis=1) == unknown.labels
            likely = np.log(np.maximum(shares[own], np.finfo(np.float64).tiny))
            scores.append((is_right.mean(), likely.mean()))
        return max(range(len(scores)), key=scores.__getitem__) + 1

    def _trained(self, train: Videos) -> Iterator[ClipClassifier]:
        """The classifier after each epoch; it goes on to learn."""
        clips, labels = self._clips(train)
        classifier = ClipClassifier(
            self.new_rows(), self.first.rows[torch.from_numpy(clips)], self.num_classes
        ).to(self.device)
        optimizer = torch.optim.AdamW(
            [
                {"params": classifier.linear.parameters(), "lr": self.settings.lr},
                {
                    "params": [p for p in classifier.rows.parameters() if p.requires_grad],
                    "lr": self.settings.encoder_lr,
                },
            ],
            weight_decay=self.settings.weight_decay,
        )
        num_batches = -(-len(clips) // self.settings.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: warmup_cosine(step, warmup=0, total=self.settings.epochs * num_batches),
        )
        for epoch in range(self.settings.epochs):
            classifier.train()
            order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(clips))
            # Of nearly one size each: a batch norm cannot do with a last batch of one clip.
            parts = np.array_split(order, num_batches)
            numbers = [clips[part].tolist() for part in parts]
            each = classifier.each(numbers, self._draw(epoch))
            losses: list[Tensor] = []
            num_unread = 0
            for part, (logits, there) in zip(parts, each, strict=True):
                targets = torch.from_numpy(labels[part]).to(self.device)
                optimizer.zero_grad()
                num_unread += int((~there).sum())
                if there.any():
                    loss = F.cross_entropy(logits[there], targets[there])
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.detach())
                schedule.step()
            if num_unread:
                print(f"{num_unread} of {len(clips)} clips could not be read in epoch {epoch + 1}")
            if losses and not torch.stack(losses).isfinite().all():
                raise FloatingPointError(
                    f"the loss of a probe is not finite in epoch {epoch + 1}: lower --probe.lr "
                    f"{self.settings.lr} or --probe.encoder-lr {self.settings.encoder_lr}"
                )
            yield classifier

    @torch.inference_mode()
    def probabilities(
        self, classifier: ClipClassifier, videos: Videos
    ) -> Float[np.ndarray, "videos classes"]:
        """The mean over the clips of each video, read as is most typical."""
        classifier.eval()
        by_video = self.first.clips_of(videos.ids)
        parts = in_batches(np.concatenate(by_video).tolist())
        shares = [logits.double().softmax(1).cpu() for logits, _ in classifier.each(parts, None)]
        ends = np.cumsum([len(own) for own in by_video])[:-1]
        return np.stack([part.mean(axis=0) for part in np.split(torch.cat(shares).numpy(), ends)])

    def _draw(self, epoch: int) -> int:
        return self.settings.seed * self.settings.epochs + epoch

    def _clips(
        self, videos: Videos
    ) -> tuple[Int64[np.ndarray, " clips"], Int64[np.ndarray, " clips"]]:
        """Numbers of all clips of these videos, and the class of each."""
        by_video = self.first.clips_of(videos.ids)
        return np.concatenate(by_video), videos.labels.repeat([len(own) for own in by_video])
