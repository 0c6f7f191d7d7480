"""One frame a second of a resized video, 224 pixels high, beside other ways to the same frames.

Resized videos have a keyframe a second, so ours decodes nothing else. The pipe that does the same
shows what is left of the difference without that.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from extractors.resize import ResizeConfig, resize_video
from extractors.video import frames_of
from tests.benchmarks.film import lengthen, write_film
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, rates, rates_per_core_second
from tests.benchmarks.timing import take_turns

FPS = ResizeConfig().fps
TORCHCODEC = "pip install torchcodec==0.11.1, and FFmpeg's libraries system-wide"


@dataclass(frozen=True, kw_only=True)
class Size:
    """A film, and how often it is repeated to make up the length of a real one."""

    film_seconds: int
    times: int
    rounds: int


FULL = Size(film_seconds=30, times=9, rounds=3)
QUICK = Size(film_seconds=2, times=2, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Source frames gone through per second, of processor time and of wall time."""
    size = QUICK if quick else FULL
    torch.set_num_threads(1)
    peers = Peers()
    with TemporaryDirectory() as name:
        folder = Path(name)
        film = write_film(folder / "film.mp4", seconds=size.film_seconds)
        resize_video(film, folder / "resized.mp4", ResizeConfig())
        video = lengthen(folder / "resized.mp4", folder / "long.mp4", times=size.times)
        contenders = _contenders(video, peers)
        _check_same_frames(contenders, num_frames=size.film_seconds * size.times)
        timings = take_turns(contenders, rounds=size.rounds)
        megabits_per_second = video.stat().st_size * 8e-6 / (size.film_seconds * size.times)
    num_source_frames = size.film_seconds * size.times * FPS
    measured = (
        f"a made-up film of {size.film_seconds * size.times} s in the standard form, "
        f"{megabits_per_second:.2f} Mb/s, without sound, warm, by "
        f"source frames; {size.rounds} rounds, 1 thread"
    )
    by_core = rates_per_core_second(timings, amount=num_source_frames, unit="frames/core-s")
    by_wall = rates(timings, amount=num_source_frames, unit="frames/s")
    return [
        Result(title="frames, CPU time", measured=measured, rows=by_core, left_out=peers.left_out),
        Result(title="frames, wall time", measured=measured, rows=by_wall, left_out=peers.left_out),
    ]


def _contenders(video: Path, peers: Peers) -> dict[str, Callable[[], Tensor]]:
    high, wide = frames_of(video).shape[2:]
    contenders: dict[str, Callable[[], Tensor]] = {
        "frames_of": partial(frames_of, video),
        "PyAV, all decoded": partial(_by_pyav, video, high, wide),
    }
    if ffmpeg := peers.ffmpeg():
        pipe = partial(_by_pipe, ffmpeg, video, high, wide)
        every_second = f"select=not(mod(n\\,{FPS})),"
        contenders["ffmpeg pipe, all decoded"] = partial(pipe, before=[], select=every_second)
        keyframes = partial(pipe, before=["-skip_frame", "nokey"], select="")
        contenders["ffmpeg pipe, keyframes alone"] = keyframes
    if decord := peers.module("decord"):
        contenders["decord"] = partial(_by_decord, decord, video, high, wide)
    if decoders := peers.module("torchcodec.decoders", way_out=TORCHCODEC):
        contenders["torchcodec"] = partial(_by_torchcodec, decoders, video, high, wide)
    return contenders


def _check_same_frames(contenders: dict[str, Callable[[], Tensor]], *, num_frames: int) -> None:
    expected = contenders["frames_of"]()
    assert len(expected) == num_frames
    for name, frames_by in contenders.items():
        frames = frames_by()
        assert frames.shape == expected.shape, name
        # Scalers differ by some grey levels at edges; another frame would differ by dozens.
        assert (frames.float() - expected.float()).abs().mean() < 5, name


def _by_pyav(video: Path, high: int, wide: int) -> Tensor:
    with av.open(str(video)) as container:
        container.streams.video[0].thread_count = 1
        pictures = [
            frame.reformat(wide, high, "rgb24").to_ndarray()
            for number, frame in enumerate(container.decode(video=0))
            if number % FPS == 0
        ]
    return _from_pixels(np.stack(pictures))


def _by_pipe(
    ffmpeg: str, video: Path, high: int, wide: int, *, before: list[str], select: str
) -> Tensor:
    quiet = [ffmpeg, "-loglevel", "error", "-nostdin", "-threads", "1", *before, "-i", str(video)]
    scaled = ["-an", "-filter_threads", "1", "-vf", f"{select}scale={wide}:{high}"]
    raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run([*quiet, *scaled, *raw], stdout=subprocess.PIPE, check=True).stdout
    return _from_pixels(np.frombuffer(pixels, np.uint8).reshape(-1, high, wide, 3).copy())


def _by_decord(decord: Any, video: Path, high: int, wide: int) -> Tensor:
    reader = decord.VideoReader(str(video), width=wide, height=high, num_threads=1)
    return _from_pixels(reader.get_batch(range(0, len(reader), FPS)).asnumpy())


def _by_torchcodec(decoders: Any, video: Path, high: int, wide: int) -> Tensor:
    decoder = decoders.VideoDecoder(str(video), num_ffmpeg_threads=1)
    frames = decoder.get_frames_at(range(0, len(decoder), FPS)).data
    return F.interpolate(frames, (high, wide), mode="bilinear", antialias=True)


def _from_pixels(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
