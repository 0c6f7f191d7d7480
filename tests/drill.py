"""The drill of bad input, as a program: resizes and extracts one bad file after the other.

python -m tests.drill FOLDER

After each bad file comes a sound one. All of it is done once more with each file in the place of
one that resizing made. FFmpeg breaks for those files whose names say so.

    raw/ outside/          bad files, and what some of them point at
    resized/ ledger/ store/        what was made of them
    as-is/ store-as-is/    bad files in the place of resized ones, and what was made of them
    alone/                 a sound file that had no bad ones beside it
    full-disk/             the same where files could not grow at first
    drill.json             what they cost, and what happened around them
"""

import dataclasses
import json
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from extractors.audio import AudioExtractor
from extractors.audio_records import AudioRecords
from extractors.corpus import ResizedVideos
from extractors.extract import RecordSource, extract_shard
from extractors.resize import ResizeConfig, resize_video
from extractors.resize_shard import resize_shard
from extractors.sandbox import SandboxLimits
from extractors.video import VideoExtractor, build_backbone
from extractors.video_records import VideoRecords
from extractors.weights import Weights
from mcn.data.ledger import LedgerFile
from mcn.models.davenet import Davenet
from mcn.progress import Progress
from mcn.stop import StopRequest
from tests.bad_files import SECONDS, plain
from tests.bad_kinds import Site
from tests.hostile_inputs import BAD
from tests.opened import OpenedFiles

LIMITS = SandboxLimits(seconds=3, seconds_per_second=1, memory_gb=1)
RULE = ResizeConfig(width=96, height=72, fps=10, preset="ultrafast")
ROOM_BYTES = 3000
"""On a full disk: less than any file that is made of a video."""
WRITTEN = {"resized", "ledger", "store", "store-as-is", "alone", "full-disk"}
RESIZED = ("resized", "alone/resized", "full-disk/resized")
ALONE = "alone"
BREAKAGE = """
import ctypes, pathlib
import av

whole = av.open

def broken(file, *arguments, **options):
    path = pathlib.Path(str(file).removeprefix("file:"))
    match path.stem:
        case "hangs":
            ctypes.PyDLL(None).sleep(1000)
        case "crashes":
            ctypes.string_at(0)
        case "devours":
            bytearray(8 * 10**9)
        case "vanishes":
            path.unlink()
    return whole(file, *arguments, **options)

av.open = broken
"""


@dataclass
class Drill:
    """What it cost, and what happened around it."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    """How long each video took, in the order in which they were done, by step."""
    opened_outside: dict[str, int] = field(default_factory=dict)
    """How often each file outside was opened while they were at work."""
    num_connections: int = 0
    """How often a server on this machine was spoken to."""
    full_disk: dict[str, str] = field(default_factory=dict)
    """What each step said of a disk that was full."""
    appeared: list[str] = field(default_factory=list)
    """What has come to be, and should not have."""
    gigabytes: float = 0.0
    """The most memory that any of the processes had in use."""


class Clock(Progress):
    """Notes how long each piece took."""

    def __init__(self, num_videos: int) -> None:
        super().__init__("", total=num_videos, unit="videos", is_shown=False)
        self.seconds: list[float] = []

    def advance(self, amount: int = 1, *, frames: int = 0) -> None:
        super().advance(amount, frames=frames)
        self.seconds.append(time.monotonic() - self._started - sum(self.seconds))


def main(folder: Path) -> None:
    """Make the files, drill, and write down what became of them."""
    for name in (
        "raw",
        "as-is",
        "outside",
        "resized",
        "broken",
        "alone/resized",
        "full-disk/resized",
    ):
        (folder / name).mkdir(parents=True)
    (folder / "broken" / "sitecustomize.py").write_text(BREAKAGE)
    sys.path.insert(0, str(folder / "broken"))  # which decoding processes inherit
    sound, good = plain(folder / "sound.mp4"), folder / "good.mp4"
    resize_video(sound, good, RULE)
    drill = Drill()
    with listening() as server, OpenedFiles(folder / "outside") as opened:
        port = server.getsockname()[1]
        raw = laid_out(folder / "raw", Site(sound, folder / "outside", port))
        as_is = laid_out(folder / "as-is", Site(good, folder / "outside", port))
        before = files(folder)
        opened.counts().clear()
        drill.seconds["resize"] = resize(raw, folder)
        resize({ALONE: sound}, folder / "alone")
        for resized, videos, store in (
            ("resized", raw, "store"),
            ("as-is", as_is, "store-as-is"),
            ("alone/resized", [ALONE], "alone/store"),
        ):
            for source in sources(folder / resized, list(videos)):
                name = f"{store}/{source.fingerprint.extractor}"
                drill.seconds[name] = extract(source, list(videos), folder / name)
        drill.full_disk = on_a_full_disk({ALONE: sound}, folder / "full-disk")
        drill.opened_outside = dict(opened.counts())
        drill.num_connections = connections(server)
        made = sorted(files(folder) - before)
        drill.appeared = [path for path in made if path.split("/")[0] not in WRITTEN]
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    drill.gigabytes = max(of_children, own_most_kilobytes()) * 1024 / 1e9
    (folder / "drill.json").write_text(json.dumps(dataclasses.asdict(drill), indent=2))


def own_most_kilobytes() -> int:
    """The most memory of this process; getrusage counts that of who started it as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def after(name: str) -> str:
    """The id of the sound video that comes after a bad one."""
    return f"{name}, then a sound one"


def id_of(name: str, outside: Path) -> str:
    """The id of a kind."""
    return BAD[name].video_id.replace("{outside}", str(outside)) or name


def laid_out(folder: Path, site: Site) -> dict[str, Path]:
    """A file for each id, each bad one followed by one that is sound."""
    paths = {}
    for name, bad in BAD.items():
        video_id = id_of(name, site.outside)
        if folder.name == "raw":
            path = folder / f"{name if '/' in video_id else video_id}{bad.suffix}"
        else:
            path = folder / f"{video_id}.mp4"
        bad.make(site, path)
        paths[video_id] = path
        paths[after(name)] = folder / f"{after(name)}.mp4"
        paths[after(name)].write_bytes(site.sound.read_bytes())
    return paths


def resize(videos: dict[str, Path], folder: Path) -> list[float]:
    """Seconds for each, one after the other."""
    clock = Clock(len(videos))
    with clock:
        resize_shard(
            videos,
            folder / "resized",
            LedgerFile(folder / "ledger" / "00000.jsonl"),
            RULE,
            num_threads=1,
            progress=clock,
            stop=StopRequest(),
            limits=LIMITS,
        )
    return clock.seconds


def extract(source: RecordSource, video_ids: list[str], folder: Path) -> list[float]:
    """Seconds for each."""
    clock = Clock(len(video_ids))
    with clock:
        path = folder / "00000.h5"
        extract_shard(path, video_ids, source, progress=clock, stop=StopRequest())
    return clock.seconds


def sources(folder: Path, video_ids: list[str]) -> tuple[RecordSource, RecordSource]:
    """Of picture and sound, by networks that cost little."""
    complete = dict.fromkeys(video_ids, 1.0)
    seconds = {k: BAD[k].seconds if k in BAD else SECONDS for k in video_ids}
    videos = ResizedVideos(folder, dataclasses.asdict(RULE), complete, seconds)
    weights = Weights(Path(), "0" * 64, "random:0")
    torch.manual_seed(0)
    pictures = VideoExtractor(build_backbone("shufflenet_v2_x0_5"), batch_size=8)
    narrow = Davenet()
    narrow.conv1 = nn.Conv2d(1, 8, (40, 1))
    narrow.conv2 = nn.Conv2d(8, 8, (1, 11), padding=(0, 5))
    narrow.conv3 = nn.Conv2d(8, 8, (1, 17), padding=(0, 8))
    narrow.conv4 = nn.Conv2d(8, 8, (1, 17), padding=(0, 8))
    narrow.conv5 = nn.Conv2d(8, 1024, (1, 17), padding=(0, 8))
    sounds = AudioExtractor(narrow, window_frames=512)
    return (
        VideoRecords(videos, pictures, weights, name="video", limits=LIMITS),
        AudioRecords(videos, sounds, weights, name="audio", limits=LIMITS),
    )


def on_a_full_disk(videos: dict[str, Path], folder: Path) -> dict[str, str]:
    """What each step says; each is then run again, with room."""
    said = {}
    steps: dict[str, Callable[[], object]] = {"resize": lambda: resize(videos, folder)}
    for source in sources(folder / "resized", list(videos)):
        store = folder / "store" / source.fingerprint.extractor
        steps[store.name] = partial(extract, source, list(videos), store)
    for name, step in steps.items():
        limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), whole_files(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, limits[1]))
        try:
            step()
        except OSError as error:
            said[name] = str(error.strerror) if whole_files(folder) == before else "left a file"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        step()
    return said


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A server that keeps who calls waiting."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        server.settimeout(0)
        yield server


def connections(server: socket.socket) -> int:
    """How many have called."""
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def whole_files(folder: Path) -> set[str]:
    """Those that count as done."""
    return {path for path in files(folder) if path.endswith((".mp4", ".h5"))}


def files(folder: Path) -> set[str]:
    """All files below, by their paths."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
