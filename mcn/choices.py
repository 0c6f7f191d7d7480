"""Between what some options choose, for who computes and for who only asks; imports no torch."""

from typing import Literal

AudioWindow = Literal["clip", "first-10s", "published"]
"""Which part of a clip's sound is heard."""

ClipDraws = Literal["distinct", "repeated"]
"""Whether a clip of a video may be drawn twice for a batch."""

EngineName = Literal["torch", "faiss"]
"""What finds the nearest centroids in k-means."""

Inputs = Literal["features", "clips"]
"""What XDC is given: features of the stores; or pictures and spectrograms of raw clips."""

Precision = Literal["fp32", "bf16"]
"""Of the products of networks."""
