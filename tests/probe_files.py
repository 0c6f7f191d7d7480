"""Tiny benchmarks of classes, formatted and unpacked as UCF101, HMDB51 and ESC-50 are.

`write_ucf101(folder)` and its like write the annotation, by which alone the folder of a benchmark
is known; `write_clips(folder)` puts a file for each of its clips into `raw/`.
"""

import csv
import shutil
import wave
from pathlib import Path

import numpy as np

from mcn.data.probe_folder import has_sounds_alone, read_labels
from tests.videos import TONE_HZ, write_video

UCF101_CLASSES = ("ApplyEyeMakeup", "Archery", "HandstandPushups")
HMDB51_CLASSES = ("cartwheel", "climb", "climb_stairs")
ESC50_CLASSES = ("dog", "rooster", "pig")

FILMS = (
    "(Rad)Schlag_die_Bank!",
    "#20_Rhythm_clap_&_climb_",
    "Radschl_ge___;-)_[_NEW_]_@_100%",
    "Look_At_Me_+_Interview_$HOME",
)
"""Names as HMDB51 has them, and worse; of the last film no clip is in any split."""

SOUND_RATE = 44_100


def write_ucf101(folder: Path, *, clips_per_group: int = 2) -> None:
    """Three groups a class, each of which is tested in one split."""
    lists = folder / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    index = [f"{number} {name}\r\n" for number, name in enumerate(UCF101_CLASSES, start=1)]
    (lists / "classInd.txt").write_text("".join(index), newline="")
    for split in (1, 2, 3):
        train, test = [], []
        for number, name in enumerate(UCF101_CLASSES, start=1):
            called = name.replace("Handstand", "HandStand")
            for group in (1, 2, 3):
                for clip in range(1, clips_per_group + 1):
                    file = f"{name}/v_{called}_g{group:02d}_c{clip:02d}.avi"
                    if group == split:
                        test.append(f"{file}\r\n")
                    else:
                        train.append(f"{file} {number}\r\n")
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train), newline="")
        (lists / f"testlist{split:02d}.txt").write_text("".join(test), newline="")


def write_hmdb51(folder: Path, *, clips_per_film: int = 2, as_csv: bool = False) -> None:
    """Three films a class, each of which is tested in one split, and one that is not used."""
    rows = [
        (
            f"{film}_{name}_f_cm_np1_le_med_{clip}.avi",
            name,
            *((2 if split == number else 1) if number < 3 else 0 for split in range(3)),
        )
        for name in HMDB51_CLASSES
        for number, film in enumerate(FILMS)
        for clip in range(clips_per_film)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if as_csv:
        with (folder / "hmdb51.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("video_id", "label", "split1", "split2", "split3"))
            writer.writerows((clip, f"{name}_test", *sides) for clip, name, *sides in rows)
        return
    splits = folder / "testTrainMulti_7030_splits"
    splits.mkdir()
    for name in HMDB51_CLASSES:
        for split in range(3):
            lines = [f"{clip} {sides[split]} \n" for clip, of, *sides in rows if of == name]
            (splits / f"{name}_test_split{split + 1}.txt").write_text("".join(lines))


def write_esc50(folder: Path, *, clips_per_fold: int = 2) -> None:
    """Five folds; the clips of a class in a fold are of one recording."""
    (folder / "meta").mkdir(parents=True)
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
        writer.writerow(columns)
        for fold in range(1, 6):
            for target, name in enumerate(ESC50_CLASSES):
                recording = 100 * fold + target
                for take in "ABCDEFGH"[:clips_per_fold]:
                    clip = f"{fold}-{recording}-{take}-{target}.wav"
                    writer.writerow((clip, fold, target, name, "False", recording, take))


def write_clips(folder: Path, *, seconds: float = 1.0) -> None:
    """A file for each clip, all with the same contents, where unpacking the benchmark puts it."""
    labelled = read_labels(folder)
    is_sound = has_sounds_alone(folder)
    above = folder / "raw" / ("audio" if is_sound else "clips")
    one = above / ("one.wav" if is_sound else "one.avi")
    above.mkdir(parents=True)
    if is_sound:
        write_sound(one, seconds=seconds)
    else:
        write_video(one, seconds=seconds, width=64, height=48)
    for video_id, label in labelled.labels.items():
        place = above if is_sound else above / labelled.classes[label]
        place.mkdir(exist_ok=True)
        shutil.copyfile(one, place / f"{video_id}{one.suffix}")
    one.unlink()


def write_sound(path: Path, *, seconds: float = 5.0, heard_seconds: float | None = None) -> Path:
    """A .wav with a tone in mono, and zeros behind `heard_seconds`; returns its path."""
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    heard = times < (seconds if heard_seconds is None else heard_seconds)
    samples = (0.5 * np.sin(2 * np.pi * TONE_HZ * times) * heard * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes(samples.tobytes())
    return path
