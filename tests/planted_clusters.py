"""Whose clusters teach a noisy modality the classes that a clean one shows: XDC's four methods on
planted stores, over seeds, with intervals.

`python -m tests.planted_clusters` trains 4 methods x 5 seeds x 4 cases and probes them (3 minutes).

A video has one of eight classes, which its pictures show cleanly; its sounds tell them too, and
something louder besides (`tests.planted_noise`). The cases:

* places: sounds fall into clusters that have nothing to do with the class;
* clutter: the noise is as loud, but falls into no clusters: each video has its own;
* even: sounds are as clean as pictures;
* unpaired: places, but trained on videos that have another one's class in their sounds, so that
  pictures have nothing to teach. What XDC has beyond SDC here, it has by not learning places.

Probes are the project's own: logistic regression on the mean over a video's clips, C by
cross-validation. They stand on sixteen numbers that an encoder gives, and learn from 5 labelled
videos a class, 40 in all, as downstream tasks have few; from 25 a class beside it, since with ever
more labels a probe finds anything that is left. Training sees neither these videos nor those that
are tested. Beside the methods stand their encoder as it is before training, and the features alone.
Clusterings are held against the classes that are seen by NMI, at the last one of a run; 86 % is
the most that sixteen clusters of one size can share with eight classes.

Sizes and cases were fixed on seeds 100 to 104, and then measured on 0 to 4. A seed decides
the corpus, the labelled videos and the training. What came out stands in DECISIONS.md.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch

from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import clips_with_both
from mcn.data.stores import WITHOUT_WORDS, fingerprints_of, open_stores
from mcn.modality import Modality
from mcn.models.trained import described_model
from mcn.models.xdc import Xdc, XdcDims
from mcn.probes.footing import FeaturesAlone, Footing, ModelRows
from mcn.probes.frozen import classify_frozen
from mcn.probes.held_clips import HeldClips
from mcn.probes.rows import rows_of_clips
from mcn.probes.settings import ProbeSettings
from mcn.probes.sides import Videos, ranks_of_own_class
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.statistics import standardise_by
from mcn.training.xdc.config import Method, XdcConfig
from mcn.training.xdc.loop import train_xdc
from tests.planted_detail import told
from tests.planted_noise import CLASSES, NOISY, Sound, write_noisy
from tests.stores import FEATURES, SECONDS_PER_CLIP

Name = Method | Literal["untrained", "features"]
METHODS_BESIDE_SDC: tuple[Method, ...] = ("xdc", "cdc", "mdc")
NAMES: tuple[Name, ...] = ("sdc", "mdc", "cdc", "xdc", "untrained", "features")
CASES = {
    "places": NOISY,
    "clutter": replace(NOISY, places=100_000),
    "even": replace(NOISY, place_scale=0.0),
    "unpaired": replace(NOISY, is_paired=False),
}
NUM_TRAINED, NUM_HELD_OUT = 240, 480
"""Videos."""
CLIPS_PER_VIDEO = 4
LABELLED = (5, 25)
"""Videos of a class that a probe learns from; what is beyond the most is tested."""

CONFIG = XdcConfig(
    clusters=16,
    rounds=4,
    epochs_per_round=5,
    batch_size=96,
    lr=3e-3,
    clip_seconds=SECONDS_PER_CLIP,
    clips_per_video=CLIPS_PER_VIDEO,
    pca_dim=16,
    hidden_dim=64,
    out_dim=16,
)
"""What encoders give is narrower than the sounds' 22 dimensions: they have to leave something."""

Found = dict[Name, list[dict[str, float]]]
"""In percent, seed by seed: accuracies of probes, and the NMI of clusterings with the classes."""


def clips_of(folder: Path) -> HeldClips:
    reader = MediaReader(open_stores(folder, FEATURES, sources=WITHOUT_WORDS))
    stored = clips_with_both(reader, clip_seconds=SECONDS_PER_CLIP, most_per_video=CLIPS_PER_VIDEO)
    return HeldClips(stored)


def trained(
    root: Path, config: XdcConfig, clips: HeldClips, classes: Mapping[str, int]
) -> tuple[Xdc, dict[str, float]]:
    """The model, and how far each of its last clusterings agrees with the classes."""
    run = RunFolder(root / config.name)
    train_xdc(
        config,
        Runtime(loader_workers=0),
        clips,
        run,
        data=fingerprints_of(clips.stored.reader.stores),
        categories={video_id: str(label) for video_id, label in classes.items()},
    )
    saved = load_checkpoint(run.final)
    model = described_model(saved.meta, saved.part("model"))
    assert isinstance(model, Xdc)
    last = next(row for row in read_metrics(run.metrics) if row["round"] == config.rounds)
    of = "clustering/nmi-categories/"
    agreement = {
        f"NMI {name.removeprefix(of)}": 100 * float(value)
        for name, value in last.items()
        if name.startswith(of)
    }
    return model, agreement


def untrained(config: XdcConfig, clips: HeldClips) -> Xdc:
    """With the weights that every method begins with."""
    torch.manual_seed(config.seed)
    dims = XdcDims(
        video=clips.dims["video"],
        audio=clips.dims["audio"],
        clusters=config.clusters,
        hidden=config.hidden_dim,
        out=config.out_dim,
    )
    model = Xdc(dims, method=config.method)
    standardise_by(model.standardizers(), [clips.read(range(len(clips.places)))])
    return model


def accuracies(
    footing_of: Callable[[tuple[Modality, ...]], Footing],
    clips: HeldClips,
    classes: Mapping[str, int],
    labelled: Sequence[int],
) -> dict[str, float]:
    """Share of the tested videos whose class is found, by modality and labelled videos a class."""
    ids_of_class: dict[int, list[str]] = {label: [] for label in range(CLASSES)}
    for video_id, label in classes.items():
        ids_of_class[label].append(video_id)

    def some(of_class: slice) -> Videos:
        ids = [video_id for of in ids_of_class.values() for video_id in of[of_class]]
        labels = np.array([classes[video_id] for video_id in ids], np.int64)
        return Videos(tuple(ids), labels, tuple(ids))

    test = some(slice(max(LABELLED), None))
    found = {}
    for modality in ("audio", "video"):
        rows = rows_of_clips(footing_of((modality,)), clips, torch.device("cpu"))
        for number in labelled:
            train = some(slice(number))
            scores, _ = classify_frozen(
                train, rows.means(train.ids), rows.means(test.ids), ProbeSettings()
            )
            is_right = ranks_of_own_class(scores, test.labels) == 0
            found[f"{modality} by {number} a class"] = 100 * float(is_right.mean())
    return found


def measured(
    sound: Sound, names: Sequence[Name], seeds: Sequence[int], *, labelled: Sequence[int] = LABELLED
) -> Found:
    """What methods come to, and what there is without training."""
    found: Found = {name: [] for name in names}
    for seed in seeds:
        with TemporaryDirectory() as folder:
            root = Path(folder)
            classes = write_noisy(
                root / "store", num_videos=NUM_TRAINED, world=seed, part=0, sound=sound
            )
            of_held_out = write_noisy(
                root / "heldout",
                num_videos=NUM_HELD_OUT,
                world=seed,
                part=1,
                sound=replace(sound, is_paired=True),
            )
            clips, held_out = clips_of(root / "store"), clips_of(root / "heldout")
            config = replace(CONFIG, seed=seed)
            footing_of: Callable[[tuple[Modality, ...]], Footing]
            for name in names:
                agreement: dict[str, float] = {}
                if name == "features":
                    footing_of = FeaturesAlone
                elif name == "untrained":
                    footing_of = partial(ModelRows, untrained(config, clips))
                else:
                    model, agreement = trained(root, replace(config, method=name), clips, classes)
                    footing_of = partial(ModelRows, model)
                probed = accuracies(footing_of, held_out, of_held_out, labelled)
                found[name].append(probed | agreement)
    return found


def less(
    more: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]], measure: str
) -> list[float]:
    """What one comes to beyond another, seed by seed."""
    return [one[measure] - of_other[measure] for one, of_other in zip(more, other, strict=True)]


def main(seeds: range) -> None:
    print(
        f"percent, mean of seeds {seeds[0]} to {seeds[-1]} with Student's 95 % interval; "
        f"chance {100 / CLASSES:.1f}"
    )
    by_case = {case: measured(sound, NAMES, seeds) for case, sound in CASES.items()}
    for case, found in by_case.items():
        for name, of_seeds in found.items():
            for measure in of_seeds[0]:
                print(f"{case:8} {name:13} {measure:20} {told([one[measure] for one in of_seeds])}")
        for name in METHODS_BESIDE_SDC:
            for measure in found["features"][0]:
                beyond = told(less(found[name], found["sdc"], measure), "+")
                print(f"{case:8} {name} less sdc  {measure:20} {beyond}")
    for measure in by_case["places"]["features"][0]:
        paired, unpaired = by_case["places"]["xdc"], by_case["unpaired"]["xdc"]
        print(
            f"xdc, places less unpaired {measure:20} {told(less(paired, unpaired, measure), '+')}"
        )


if __name__ == "__main__":
    first_seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    main(range(first_seed, first_seed + 5))
