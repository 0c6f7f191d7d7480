"""A made-up video with the detail, the motion and the cuts of an ordinary one."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 360, 30
SAMPLE_RATE = 44_100
SECONDS_BETWEEN_CUTS = 5
THING = 90
"""Width and height of what moves, in pixels."""


def write_film(path: Path, *, seconds: int, seed: int = 0) -> Path:
    """H.264 and stereo AAC: scenes that pan, things that move before them, grain, noisy sound."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 2, (8, HEIGHT, WIDTH, 1)).astype(np.float32)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE)
        audio.layout = "stereo"
        for number in range(seconds * FPS):
            since_cut = number % (SECONDS_BETWEEN_CUTS * FPS)
            if since_cut == 0:
                scene, thing = _texture(rng), _texture(rng)
            picture = _view(scene, since_cut, 2 * since_cut).copy()
            for place in range(4):
                top = round((HEIGHT - THING) * (0.5 + 0.5 * np.sin(since_cut / 20 + place)))
                left = (150 * place + 3 * since_cut) % (WIDTH - THING)
                piece = _view(thing, 80 * place + since_cut, 0)[:THING, :THING]
                picture[top : top + THING, left : left + THING] = piece
            picture += grain[number % len(grain)]
            pixels = picture.clip(0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            sound = rng.normal(0, 0.1, (2, SAMPLE_RATE // FPS)).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
            samples.sample_rate = SAMPLE_RATE
            container.mux(audio.encode(samples))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


def _view(texture: NDArray[np.float32], top: int, left: int) -> NDArray[np.float32]:
    return texture[top % HEIGHT :, left % WIDTH :][:HEIGHT, :WIDTH]


def _texture(rng: np.random.Generator) -> NDArray[np.float32]:
    """A picture twice as wide and high as a frame, with about the spectrum of natural ones."""
    rows, columns = np.fft.fftfreq(2 * HEIGHT)[:, None], np.fft.rfftfreq(2 * WIDTH)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.normal(size=(3, 2 * HEIGHT, 2 * WIDTH)))
    colours = np.moveaxis(np.fft.irfft2(noise / frequency**1.4), 0, -1)
    texture = colours.mean(axis=2, keepdims=True) + 0.3 * colours  # mostly shared, so mostly grey
    pixels: NDArray[np.float32] = (128 + 50 * texture / texture.std()).astype(np.float32)
    return pixels


def lengthen(source: Path, target: Path, *, times: int) -> Path:
    """The pictures of `source` several times over, without decoding them."""
    with av.open(str(source)) as once:
        duration = once.streams.video[0].duration or 0
        with av.open(str(target), "w") as container:
            stream = container.add_stream_from_template(once.streams.video[0])
            for repeat in range(times):
                once.seek(0)
                for packet in once.demux(video=0):
                    if packet.pts is None or packet.dts is None:  # what ends a stream is empty
                        continue
                    packet.pts += repeat * duration
                    packet.dts += repeat * duration
                    packet.stream = stream
                    container.mux(packet)
    return target
