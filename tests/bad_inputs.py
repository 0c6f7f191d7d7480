"""The kinds of bad input in the drill: what a network, a disk and a camera leave."""

from tests.bad_files import (
    change_sound,
    cut,
    cut_without_faststart,
    damage_the_middle,
    leave_a_gap,
    plain,
    png,
    promise_a_year,
    promise_pixels,
    shift,
    twice_over,
    with_a_cover_alone,
    with_a_late_stream,
    with_subtitles,
    without_picture,
    write_to,
)
from tests.bad_kinds import (
    UNREADABLE,
    Bad,
    leave_a_hole,
    leave_out,
    nothing_wrong,
)

KEYFRAMES = ("keyframes", "")
"""A file that resizing did not make; its sound can be used all the same."""
TOO_FEW = ("truncated", "")
"""The same, seen by the number of its keyframes."""
UNEVEN = [0, 0.04, 0.1, 0.48, 0.5, 0.62, 0.75, 1.1, 1.5, 1.75, 1.9]

LEFT: dict[str, Bad] = {
    "sound": Bad(what="nothing", make=nothing_wrong),
    # What a download or a disk leaves.
    "empty": Bad(
        what="no byte in it",
        make=lambda _, path: path.touch(),
        resized="empty",
        as_is=("empty", "empty"),
    ),
    "missing": Bad(
        what="gone since it was listed",
        make=leave_out,
        resized="missing",
        as_is=("missing", "missing"),
    ),
    "vanishes": Bad(
        what="removed between the first look and the opening",
        make=nothing_wrong,
        resized="missing",
        as_is=("missing", "missing"),
    ),
    "cut off": Bad(
        what="60 % of a file with its index in front",
        make=lambda site, path: cut(site.sound, path),
        resized="truncated",
        as_is=("truncated", "truncated"),
    ),
    "cut off, index last": Bad(
        what="60 % of a file with its index at the end",
        make=lambda site, path: cut_without_faststart(site.sound, path),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "damaged": Bad(
        what="random bytes in the middle third",
        make=lambda site, path: damage_the_middle(site.sound, path),
        resized="truncated",
        as_is=("", "truncated"),
    ),
    "a gap": Bad(
        what="zeros in the place of three tenths of a film without sound",
        make=lambda _, path: leave_a_gap(path),
        resized="truncated",
        as_is=("truncated", "no-audio"),
    ),
    "a bad sector": Bad(
        what="reads fail: a link to /proc/self/mem",
        make=lambda _, path: path.symlink_to("/proc/self/mem"),
        resized="unreadable-now",
        as_is=("link", "link"),
    ),
    "a hole": Bad(
        what="a gigabyte of nothing, as a file system leaves it",
        make=leave_a_hole,
        seconds=30.0,  # for it is read to its end
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    # Names that lie.
    "text": Bad(
        what="a text with the name of a video",
        make=lambda _, path: path.write_text("Sign in to confirm you are not a bot\n" * 99),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "a PNG": Bad(
        what="a picture with the name of a video",
        make=lambda _, path: path.write_bytes(png(64)),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "a WebM": Bad(
        what="VP8 and Opus in WebM, named .mp4",
        make=lambda _, path: plain(path.with_suffix(".webm")).rename(path),
    ),
    # Tracks that are not there, or are not what is wanted.
    "no picture": Bad(
        what="a track of sound alone",
        make=lambda site, path: without_picture(site.sound, path),
        resized="no-video",
        as_is=("no-video", ""),
    ),
    "a cover": Bad(
        what="sound, and the picture of an album",
        make=lambda site, path: with_a_cover_alone(site.sound, path),
        resized="no-video",
        as_is=("no-video", ""),
    ),
    "no sound": Bad(
        what="a track of pictures alone",
        make=lambda _, path: plain(path, sample_rate=None),
        features=("", "no-audio"),
        as_is=("truncated", "no-audio"),
    ),
    "subtitles": Bad(
        what="a track of text besides, in Matroska",
        make=lambda site, path: with_subtitles(site.sound, path),
        suffix=".mkv",
        as_is=KEYFRAMES,
    ),
    # Lengths.
    "one frame": Bad(
        what="a single frame, no sound",
        make=lambda _, path: plain(path, seconds=0.01, sample_rate=None),
        features=("", "no-audio"),
        as_is=("", "no-audio"),
    ),
    "one second": Bad(what="1 s long", make=lambda _, path: plain(path, seconds=1.0)),
    "a year": Bad(
        what="2 s that say they last a year",
        make=lambda _, path: promise_a_year(path),
        resized="truncated",
    ),
    # Times.
    "uneven": Bad(
        what="frames at no constant rate",
        make=lambda _, path: plain(path, frame_times=UNEVEN),
        as_is=TOO_FEW,
    ),
    "negative times": Bad(
        what="time stamps from -1 s on, in a transport stream",
        make=lambda site, path: shift(site.sound, path, "mpegts", -1),
        suffix=".ts",
        as_is=KEYFRAMES,
    ),
    "an edit list": Bad(
        what="an edit list that leaves out the first second",
        make=lambda site, path: shift(site.sound, path, "mp4", -1),
        as_is=TOO_FEW,
    ),
    "a late start": Bad(
        what="an edit list that begins after 1000 s",
        make=lambda site, path: shift(site.sound, path, "mp4", 1000),
        as_is=KEYFRAMES,
    ),
    "time goes back": Bad(
        what="a transport stream twice over",
        make=lambda _, path: twice_over(path),
        suffix=".ts",
        as_is=KEYFRAMES,
    ),
    "a late stream": Bad(
        what="a Flash video at whose end sound of another codec turns up",
        make=lambda _, path: with_a_late_stream(path),
        suffix=".flv",
        as_is=KEYFRAMES,
    ),
    "fragments": Bad(
        what="a fragmented mp4, whose index promises nothing",
        make=lambda site, path: write_to(
            path, site.sound, {"movflags": "frag_keyframe+empty_moov"}
        ),
        as_is=KEYFRAMES,
    ),
    # Pictures and sounds of all sorts.
    "turned": Bad(
        what="rotation by 90 degrees in its metadata",
        make=lambda _, path: plain(path, rotation_degrees=90),
        as_is=TOO_FEW,
    ),
    "odd": Bad(
        what="97 x 73 pixels",
        make=lambda _, path: plain(path.with_suffix(".webm"), width=97, height=73).rename(path),
    ),
    "10 bit": Bad(
        what="10 bits a colour",
        make=lambda _, path: plain(path, pix_fmt="yuv420p10le"),
        as_is=TOO_FEW,
    ),
    "grey": Bad(
        what="no colours",
        make=lambda _, path: plain(path, pix_fmt="gray"),
        as_is=TOO_FEW,
    ),
    "sound that changes": Bad(
        what="sound of one channel, and from the middle on of two and another rate",
        make=lambda _, path: change_sound(path),
        suffix=".ts",
        as_is=KEYFRAMES,
    ),
    "YCgCo": Bad(
        what="colours in a matrix that FFmpeg's scaler does not know",
        make=lambda _, path: plain(path, matrix=8),
        as_is=("undecodable", ""),
    ),
    "5.1": Bad(
        what="six channels of sound",
        make=lambda _, path: plain(path, layout="5.1"),
        as_is=TOO_FEW,
    ),
    "16384 x 16384": Bad(
        what="268 million pixels in 33 kB, which FFmpeg refuses",
        make=lambda _, path: promise_pixels(path, side=16384, num_pictures=1),
        resized="undecodable",
        as_is=("undecodable", "no-audio"),
    ),
    "16000 x 16000": Bad(
        what="256 million pixels in 32 kB",
        make=lambda _, path: promise_pixels(path, side=16000, num_pictures=1),
        resized="too-large",
        as_is=("too-large", "no-audio"),
    ),
    "8000 x 8000": Bad(
        what="3 pictures of 64 million pixels in 25 kB",
        make=lambda _, path: promise_pixels(path, side=8000, num_pictures=3),
        seconds=30.0,
        features=("", "no-audio"),
        as_is=("out-of-memory", "no-audio"),
    ),
}
