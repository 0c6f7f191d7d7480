"""Seconds of video brought to 454x256 per second of processor time, and several files at once.

Beside FFmpeg as a pipe with the same settings, which decodes, scales and encodes with the same
libraries: what differs is the checking of what was written, and what Python costs. Without the
constraint of a keyframe a second the encoder is freer; that shows what the constraint costs.
"""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from extractors.resize import ResizeConfig, resize_video
from tests.benchmarks.film import write_film
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, Row, rates, rates_per_core_second
from tests.benchmarks.timing import take_turns

CONFIG = ResizeConfig()
NUM_FILES = 2


@dataclass(frozen=True, kw_only=True)
class Size:
    """The film that is resized."""

    seconds: int
    rounds: int


FULL = Size(seconds=20, rounds=3)
QUICK = Size(seconds=2, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """One file on one thread, and files side by side."""
    size = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        film = write_film(folder / "film.mp4", seconds=size.seconds)
        return [_one_file(size, film, folder), _side_by_side(size, film, folder)]


def _one_file(size: Size, film: Path, folder: Path) -> Result:
    peers = Peers()
    targets = {"resize_video": folder / "ours.mp4", "PyAV, any keyframes": folder / "pyav.mp4"}
    contenders: dict[str, Callable[[], object]] = {
        "resize_video": partial(resize_video, film, targets["resize_video"], CONFIG),
        "PyAV, any keyframes": partial(_by_pyav, film, targets["PyAV, any keyframes"]),
    }
    if ffmpeg := peers.ffmpeg():
        every_second = ["-g", str(CONFIG.fps), "-keyint_min", str(CONFIG.fps), "-sc_threshold", "0"]
        for name, keyframes in (
            ("ffmpeg, same keyframes", every_second),
            ("ffmpeg, any keyframes", []),
        ):
            targets[name] = folder / f"{len(targets)}.mp4"
            contenders[name] = partial(_by_ffmpeg, ffmpeg, film, targets[name], keyframes)
    timings = take_turns(contenders, rounds=size.rounds)
    for target in targets.values():
        _check(target, num_frames=size.seconds * CONFIG.fps)
    notes = {name: f"{target.stat().st_size / 1e6:.2f} MB" for name, target in targets.items()}
    return Result(
        title="resize",
        measured=f"a made-up film of {size.seconds} s, 640x360, 30 fps, stereo, to "
        f"{CONFIG.width}x{CONFIG.height}, x264 {CONFIG.preset}, crf {CONFIG.crf}, mono; "
        f"{size.rounds} rounds, 1 thread",
        rows=rates_per_core_second(
            timings, amount=size.seconds, unit="seconds/core-s", notes=notes
        ),
        left_out=peers.left_out,
    )


def _side_by_side(size: Size, film: Path, folder: Path) -> Result:
    targets = [folder / f"file{number}.mp4" for number in range(NUM_FILES)]
    timings = take_turns(
        {
            f"{NUM_FILES} threads": partial(_resize_all, film, targets, num_threads=NUM_FILES),
            "1 thread": partial(_resize_all, film, targets, num_threads=1),
        },
        rounds=size.rounds,
    )
    rows: list[Row] = rates(timings, amount=NUM_FILES * size.seconds, unit="seconds/s")
    return Result(
        title=f"resize, {NUM_FILES} files",
        measured=f"the same film {NUM_FILES} times over, wall time; {size.rounds} rounds",
        rows=rows,
    )


def _resize_all(film: Path, targets: list[Path], *, num_threads: int) -> None:
    with ThreadPoolExecutor(num_threads) as threads:
        for resized in [threads.submit(resize_video, film, target, CONFIG) for target in targets]:
            resized.result()


def _by_pyav(film: Path, target: Path) -> None:
    with av.open(str(film)) as source, av.open(str(target), "w") as container:
        options = {"crf": str(CONFIG.crf), "preset": CONFIG.preset}
        video = container.add_stream("libx264", rate=CONFIG.fps, options=options)
        video.width, video.height, video.pix_fmt = CONFIG.width, CONFIG.height, "yuv420p"
        audio = container.add_stream("aac", rate=CONFIG.sample_rate)
        audio.layout, audio.bit_rate = "mono", 64_000
        for stream in (*source.streams, *container.streams):
            stream.codec_context.thread_count = 1
        for frame in source.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                scaled = frame.reformat(CONFIG.width, CONFIG.height, "yuv420p")
                scaled.pict_type = av.video.frame.PictureType.NONE
                container.mux(video.encode(scaled))
            elif isinstance(frame, av.AudioFrame):
                container.mux(audio.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def _by_ffmpeg(ffmpeg: str, film: Path, target: Path, keyframes: list[str]) -> None:
    source = [ffmpeg, "-loglevel", "error", "-nostdin", "-y", "-threads", "1", "-i", str(film)]
    scale = f"scale={CONFIG.width}:{CONFIG.height},fps={CONFIG.fps}"
    video = ["-filter_threads", "1", "-vf", scale, "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    effort = ["-preset", CONFIG.preset, "-crf", str(CONFIG.crf), "-threads", "1", *keyframes]
    audio = ["-c:a", "aac", "-ar", str(CONFIG.sample_rate), "-ac", "1", "-b:a", "64k"]
    subprocess.run([*source, *video, *effort, *audio, str(target)], check=True)


def _check(target: Path, *, num_frames: int) -> None:
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (CONFIG.width, CONFIG.height), target
        assert sum(packet.size > 0 for packet in container.demux(video)) == num_frames, target
