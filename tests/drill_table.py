"""The table of bad input in the docs, made of what a drill found.

python -m tests.drill_table      drills, and writes docs/bad_inputs.md
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mcn.data.failure_class import class_of
from mcn.data.ledger import read_ledger
from mcn.root import REPOSITORY
from mcn.store.reader import FeatureStore
from tests.bad_kinds import Two
from tests.drill import id_of
from tests.hostile_inputs import BAD

TABLE = REPOSITORY / "docs" / "bad_inputs.md"
MOST_SECONDS = 300
HEAD = """\
# What becomes of bad input

Found by `tests/test_bad_inputs.py`, and written by `python -m tests.drill_table`. Each file was
resized, what came of it went into features of picture and sound, and a sound file behind each had
the bytes that it has alone. Then each file lay itself in the place of one that resizing made.

`permanent` is never tried again, `transient` by `--retry transient`, and `poison` once more. No
file in another folder was opened but that of the link in `raw/`, which may point anywhere; none was
written, and nobody was spoken to.

A file that is there while reads of it fail is `unreadable-now`, whatever FFmpeg calls it; an error
that nobody has thought of, which none of these kinds meets, is `unforeseen` (poison). Of colours in
a matrix that FFmpeg's scaler does not know, YCgCo is converted; others are taken for the nearest or
for none, and come out wrong.

| kind | what is done to it | resized | features of that | in the place of a resized file |
|---|---|---|---|---|
"""
FULL_DISK = """\
| a full disk | no file grows beyond 3 kB | stops the task, nothing is entered | stops the task | |
"""
MISSING = """
## What counts as missing

A file is `truncated` where less than `--min-complete` of the time it promises was decoded: what is
missing at its end, silence of more than 0.1 s that no packet covers, and every gap between pictures
in which a packet failed, came to nothing in an mp4, or lay beside damage that FFmpeg noticed
(complaints of the demuxer, packets and pictures that it calls corrupt). A picture may stay for as
long as it likes where nothing of that kind is near: slides and recordings of screens are whole.

Not told from such a pause, where there is no sound: bytes that were cut out so neatly that
FFmpeg finds no fault behind them (whole clusters of a Matroska file, packets of a transport stream
with pictures of a packet each or, one time in sixteen, any), and those of an FLV, ASF or transport
stream that lie in the first seconds, which FFmpeg reads before anybody can ask it. What a decoder
patches up is in the count of errors alone; that count is in the ledger and with the features.
"""


@dataclass(frozen=True)
class Found:
    """The reasons that a bad file failed for, empty where it did not."""

    resized: str
    features: Two
    as_is: Two


def drill(folder: Path) -> Path:
    """Run it in a process of its own, so that its memory can be measured."""
    command = [sys.executable, "-m", "tests.drill", str(folder)]
    subprocess.run(command, check=True, timeout=MOST_SECONDS, cwd=REPOSITORY)
    return folder


def found_by(drilled: Path) -> dict[str, Found]:
    """What became of each kind."""
    resized = read_ledger(drilled / "ledger")
    reasons = {
        name: reasons_of(drilled / name)
        for name in ("store/video", "store/audio", "store-as-is/video", "store-as-is/audio")
    }
    found = {}
    for name in BAD:
        video_id = id_of(name, drilled / "outside")
        picture, sound, picture_as_is, sound_as_is = (each[video_id] for each in reasons.values())
        features, as_is = (picture, sound), (picture_as_is, sound_as_is)
        found[name] = Found(resized[video_id].reason, features, as_is)
    return found


def reasons_of(folder: Path) -> dict[str, str]:
    """Why each video of a store failed; empty where it has features."""
    store = FeatureStore(folder)
    return dict.fromkeys(store.video_ids, "") | dict(store.failures())


def rendered(found: dict[str, Found]) -> str:
    """The page."""
    lines = []
    for name, bad in BAD.items():
        each = found[name]
        features = "" if each.resized else _both(each.features)
        cells = [name, bad.what, _word(each.resized), features, _both(each.as_is)]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(lines) + FULL_DISK + MISSING


def _both(reasons: Two) -> str:
    picture, sound = map(_word, reasons)
    return picture if picture == sound else f"picture {picture}; sound {sound}"


def _word(reason: str) -> str:
    return f"{class_of(reason)}: {reason}" if reason else "done"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(rendered(found_by(drill(Path(folder) / "drill"))))
