"""Pseudo-labels of all clips, and how healthy the clusterings are that they come from."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mcn.clustering.engines import Engine
from mcn.clustering.health import assignment_entropy, normalized_mutual_information
from mcn.clustering.lloyd import cluster, finite_rows
from mcn.clustering.whitening import whiten
from mcn.modality import Modality
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.draws import LabelSet

Labels = dict[LabelSet, Int64[Tensor, " clips"]]
"""The number of each clip's cluster, by the modalities clustered; -1 where a clip lacks one."""


def label_sets(config: XdcConfig) -> tuple[LabelSet, ...]:
    """The clusterings that a method learns from."""
    return tuple(dict.fromkeys(term.labels_of for term in config.terms))


def seed_of(config: XdcConfig, round_number: int, number: int = 0) -> int:
    """For what is drawn in a round, several times without a likeness between them."""
    return int(np.random.SeedSequence([config.seed, round_number, number]).generate_state(1)[0])


def cluster_all(
    config: XdcConfig,
    features: Mapping[Modality, Float[Tensor, "clips dim"]],
    round_number: int,
    device: torch.device,
    engine: Engine,
) -> tuple[Labels, dict[str, float]]:
    """Labels of all clips by every clustering of the method, and the health of each by name.

    Raises:
        ValueError: There are fewer clips than clusters.

    Args:
        config: Of the run.
        features: Of all clips.
        round_number: From 0.
        device: Where rows are clustered.
        engine: What finds the nearest centroids.
    """
    labels: Labels = {}
    health: dict[str, float] = {}
    for number, label_set in enumerate(label_sets(config)):
        name = "-".join(label_set)
        side_by_side = [features[modality] for modality in label_set]
        rows = torch.cat(side_by_side, dim=1) if len(label_set) > 1 else side_by_side[0]
        num_known = int(finite_rows(rows).sum())
        if num_known < config.clusters:
            raise ValueError(
                f"--clusters {config.clusters}: only {num_known} of {len(rows)} clips have "
                f"{' and '.join(label_set)}; give fewer clusters, or more clips by a larger "
                "--clips-per-video or a smaller --clip-seconds"
            )
        found = cluster(
            whiten(rows, dims=config.pca_dim).to(device),
            clusters=config.clusters,
            initial=None,
            seed=seed_of(config, round_number, 1 + number),
            spherical=False,
            engine=engine,
        )
        labels[label_set] = found.assignments.cpu()
        health |= {
            f"clustering/reseeded/{name}": float(found.num_reseeded),
            f"clustering/entropy/{name}": assignment_entropy(
                labels[label_set], clusters=config.clusters
            ),
            f"clustering/inertia/{name}": found.inertia,
            f"clustering/clips/{name}": float(num_known),
        }
    return labels, health


def agreement(
    labels: Labels, last: Mapping[LabelSet, Tensor], categories: Int64[Tensor, " clips"]
) -> dict[str, float]:
    """Normalised mutual information of each clustering with its last one, of those of the two
    modalities with each other, and of each with the categories of the videos, where there are any.
    """
    nmi = {
        f"clustering/nmi-last/{'-'.join(s)}": normalized_mutual_information(last[s], labels[s])
        for s in labels
        if s in last
    }
    if ("video",) in labels and ("audio",) in labels:
        between = normalized_mutual_information(labels["video",], labels["audio",])
        nmi["clustering/nmi-between/video-audio"] = between
    if (categories >= 0).any():
        for s, of in labels.items():
            told = normalized_mutual_information(categories, of)
            nmi[f"clustering/nmi-categories/{'-'.join(s)}"] = told
    return nmi


def category_numbers(
    video_ids: Sequence[str], categories: Mapping[str, str]
) -> Int64[Tensor, " clips"]:
    """A number for the category of each clip's video; -1 where nobody knows it."""
    numbers = {name: number for number, name in enumerate(sorted(set(categories.values()) - {""}))}
    of_clips = [numbers.get(categories.get(video_id, ""), -1) for video_id in video_ids]
    return torch.tensor(of_clips, dtype=torch.int64)
