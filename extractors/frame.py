"""One frame of a video as a JPEG, for people to look at."""

import io
from pathlib import Path

from PIL import Image

from extractors.media import MediaError, keyframes

WIDTH = 227
HEIGHT = 128


def frame_jpeg(path: Path, seconds: float) -> bytes | None:
    """The keyframe shown at that second of a resized video; None where it cannot be read."""
    shown = None
    try:
        for key_seconds, picture in keyframes(path):
            if shown is not None and key_seconds > seconds:
                break
            shown = picture
    except MediaError:
        return None
    if shown is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(shown).resize((WIDTH, HEIGHT)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
