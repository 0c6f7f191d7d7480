"""The three inputs, and the order in which everything lists them."""

from typing import Literal

Modality = Literal["video", "audio", "text"]

MODALITIES: tuple[Modality, ...] = ("video", "audio", "text")
