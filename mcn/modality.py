"""The three inputs, the order in which everything lists them, and the spaces they meet in."""

from typing import Literal, get_args

Modality = Literal["video", "audio", "text"]

Space = Literal["joint", "fine", "coarse", "video-audio", "video-text", "own"]
"""`own` is that of one encoder, into which no other modality comes."""

Place = tuple[Modality, Space]
"""One modality in one space."""

MmvSpace = Literal["fac", "shared", "disjoint"]
"""How MMV arranges its spaces."""

MMV_SPACES: tuple[MmvSpace, ...] = get_args(MmvSpace)

MODALITIES: tuple[Modality, ...] = ("video", "audio", "text")
