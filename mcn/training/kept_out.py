"""Clips that count as lacking a modality, counted over all ranks."""

import json
from collections import Counter
from collections.abc import Mapping

import torch

from mcn.modality import Modality
from mcn.training.distributed import gather_lines

KeptOut = dict[Modality, dict[str, int]]
"""By modality: videos with clips whose features were not finite or could not be read, and how many.
"""


def kept_out_anywhere(
    kept_out: Mapping[Modality, Mapping[str, int]], device: torch.device
) -> KeptOut:
    """What all ranks kept out together, sorted; every rank has to ask."""
    everywhere: dict[Modality, Counter[str]] = {modality: Counter() for modality in kept_out}
    for line in gather_lines([json.dumps(kept_out)], device):
        for modality, videos in json.loads(line).items():
            everywhere[modality].update(videos)  # clips of one video may be on several ranks
    return {m: dict(sorted(videos.items())) for m, videos in everywhere.items() if videos}
