"""The kinds of bad input in the drill: what leads elsewhere, and what breaks the decoder."""

import os

from tests.bad_files import refer_to
from tests.bad_inputs import LEFT
from tests.bad_kinds import UNREADABLE, Bad, link_to_another, name_another, nothing_wrong

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n"
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">
<Representation id="1" bandwidth="1"><BaseURL>http://127.0.0.1:{port}/x.mp4</BaseURL>
</Representation></AdaptationSet></Period></MPD>"""
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"

HOSTILE: dict[str, Bad] = {
    # Names.
    "a dash": Bad(what="an id like an option", make=nothing_wrong, video_id="-rf"),
    "quotes": Bad(
        what="an id of blanks, quotes and a command",
        make=nothing_wrong,
        video_id="two 'words' \"$(touch canary)\"; %03d",
    ),
    "a new line": Bad(what="an id of two lines", make=nothing_wrong, video_id="one\nline"),
    "a path": Bad(
        what="an id that leads to another folder",
        make=nothing_wrong,
        video_id="../outside/path",
        resized="name",
        as_is=("name", "name"),
    ),
    "a whole path": Bad(
        what="an id that is a path from the root",
        make=nothing_wrong,
        video_id="{outside}/whole path",
        resized="name",
        as_is=("name", "name"),
    ),
    # What is no file.
    "a link": Bad(
        what="a symbolic link to a sound video in another folder",
        make=link_to_another,
        # A raw video may lie anywhere; resizing makes files, so that a link is none of its own.
        as_is=("link", "link"),
    ),
    "a pipe": Bad(
        what="a FIFO that nobody writes to",
        make=lambda _, path: os.mkfifo(path),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "a folder": Bad(
        what="a folder with the name of a video",
        make=lambda _, path: path.mkdir(),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    # What names another file.
    "HLS": Bad(
        what="an m3u8 that names a file in another folder",
        make=name_another(HLS.format("{file}")),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "HLS of a URL": Bad(
        what="an m3u8 that names a URL",
        make=name_another(HLS.format("http://127.0.0.1:{port}/x.ts")),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "concat": Bad(
        what="a script of FFmpeg's that names a file in another folder",
        make=name_another("ffconcat version 1.0\nfile '{file}'\n"),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "SDP": Bad(
        what="a description of a stream on the network",
        make=name_another(SDP),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "DASH": Bad(
        what="an MPD that names a URL",
        make=name_another(DASH),
        resized="unreadable",
        as_is=UNREADABLE,
    ),
    "elsewhere": Bad(
        what="an mp4 whose tracks are in a file in another folder",
        make=lambda site, path: refer_to(site.sound, path, site.canary(path)),
        resized="undecodable",
        as_is=("undecodable", "no-audio"),
    ),
    # What breaks the decoder; see BREAKAGE in tests/drill.py.
    "hangs": Bad(
        what="the decoder does not return, with Python's lock held",
        make=nothing_wrong,
        resized="hung",
        as_is=("hung", "hung"),
    ),
    "crashes": Bad(
        what="the decoder reads from address 0",
        make=nothing_wrong,
        resized="crashed",
        as_is=("crashed", "crashed"),
    ),
    "devours": Bad(
        what="the decoder asks for 8 GB of memory",
        make=nothing_wrong,
        resized="out-of-memory",
        as_is=("out-of-memory", "out-of-memory"),
    ),
}

BAD = LEFT | HOSTILE
