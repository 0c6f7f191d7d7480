"""One try at one video, with yt-dlp as a library.

No shell and no file of settings take part; of programs only FFmpeg, where the format asks to merge,
and Deno, which yt-dlp lets work out YouTube's addresses where it is on the PATH. The id is quoted
into a URL and names no file here; what is written is named by the format, so that a part is
continued only by bytes of the same one.
"""

import io
import re
import shutil
import sys
import time
from dataclasses import dataclass
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yt_dlp import YoutubeDL
from yt_dlp.utils import DownloadCancelled

from extractors.download_errors import VideoFailedError, explain
from mcn.data.manifest import RAW_SUFFIXES
from mcn.stop import StopRequest

PLACE_OF_ID = "{video_id}"


@dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """Where videos come from, and how politely."""

    url: str = "https://www.youtube.com/watch?v={video_id}"
    """Where a video is."""
    format: str = "b"
    """Format in yt-dlp's notation; b is the best file of picture and sound in one, and what has a +
    needs FFmpeg."""
    short_side: int = 360
    """Of several, the largest with at most so many pixels on its shorter side, else the smallest
    above; the standard form has 256."""
    megabytes_per_second: float | None = None
    """Limit of each task; by default none."""
    seconds_between_videos: float = 2.0
    """Mean wait of a task between two videos."""
    tries: int = 4
    """How often a video is asked for at one go."""
    retry_seconds: float = 5.0
    """Wait before the second try; doubles with each further one."""
    pause_seconds: float = 300.0
    """How long all tasks pause when the site blocks; doubles as long as it goes on, and is longer
    where the site asks for that."""
    max_pause_seconds: float = 7200.0
    """Longest pause."""
    max_pauses: int = 7
    """Tasks end when so many pauses on end have not helped."""
    timeout_seconds: float = 30.0
    """How long the site may keep silent."""
    video_minutes: float = 120.0
    """How long one try at a video may take."""
    cookies: Path | None = None
    """File of cookies in Netscape's format; is only read."""
    proxy: str | None = None
    """Proxy, as socks5://host:1080; by default that of the environment, empty for none."""

    def __post_init__(self) -> None:
        if PLACE_OF_ID not in self.url:
            raise ValueError(f"url is {self.url!r} and must contain {PLACE_OF_ID}")
        if "+" in self.format and shutil.which("ffmpeg") is None:
            raise ValueError(
                f"format is {self.format!r}: to merge picture and sound FFmpeg must be on the PATH"
            )
        try:
            with YoutubeDL({"quiet": True}, auto_init=False) as site:
                site.build_format_selector(self.format)
        except SyntaxError as error:
            raise ValueError(f"format is {self.format!r}, none of yt-dlp's: {error.msg}") from error
        if self.cookies is not None:
            try:
                MozillaCookieJar().load(str(self.cookies))
            except LoadError as error:
                raise ValueError(f"cookies are no file in Netscape's format: {error}") from error
        for name in ("tries", "max_pauses", "short_side"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} and must be at least 1")

    def seconds_before(self, number: int) -> float:
        """Mean wait before a try, of which the first has number 1."""
        return 0.0 if number == 1 else self.retry_seconds * 2 ** (number - 2)

    def url_of(self, video_id: str) -> str:
        return self.url.replace(PLACE_OF_ID, quote(video_id, safe=""))


@dataclass(frozen=True)
class Downloaded:
    """A whole file of a video."""

    path: Path
    seconds: float
    """As the site says; 0 where it does not."""


class StoppedError(DownloadCancelled):  # type: ignore[misc]
    """The task was asked to stop; the part stays and can be continued."""


class _OutOfTimeError(DownloadCancelled):  # type: ignore[misc]
    pass


class Warnings:
    """What yt-dlp warns of; each said once, whatever the video."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._video_id = ""
        self.of_this_try: list[str] = []

    def begin(self, video_id: str) -> None:
        self._video_id = video_id
        self.of_this_try = []

    def debug(self, message: str) -> None:
        """Passes over what is no warning."""

    def warning(self, message: str) -> None:
        self.of_this_try.append(message)
        general = re.sub(rf"\b{re.escape(self._video_id)}\b", "...", message)
        if general not in self._said:
            self._said.add(general)
            print(f"yt-dlp: {general}", file=sys.stderr)

    def error(self, message: str) -> None:
        """Passes over what is raised as well."""


def download_video(
    video_id: str, folder: Path, config: DownloadConfig, warnings: Warnings, stop: StopRequest
) -> Downloaded:
    """The video's file in `folder`, which is the video's own; carries on with a part found there.

    Raises:
        VideoFailedError: It could not be had.
        BlockedError: The site wants to be left alone.
        StoppedError: `stop` was set.
        OSError: This machine could not write the file.
    """
    deadline = time.monotonic() + 60 * config.video_minutes

    def look_up(_: dict[str, Any]) -> None:
        if stop.is_set:
            raise StoppedError
        if time.monotonic() > deadline:
            raise _OutOfTimeError

    url = config.url_of(video_id)
    warnings.begin(video_id)
    options = _options(folder, config) | {"logger": warnings, "progress_hooks": [look_up]}
    try:
        with YoutubeDL(options) as site:
            info = site.extract_info(url)
    except StoppedError:
        raise
    except _OutOfTimeError as error:
        detail = f"not done after {config.video_minutes:g} minutes"
        raise VideoFailedError("slow", detail) from error
    except Exception as error:  # a page that an extractor stumbles over costs one video
        raise explain(error, url, warnings.of_this_try) from error
    return _downloaded(info)


def _options(folder: Path, config: DownloadConfig) -> dict[str, Any]:
    options: dict[str, Any] = {
        "paths": {"home": str(folder)},
        "outtmpl": "%(format_id)s.%(ext)s",
        "format": config.format,
        "format_sort": [f"res:{config.short_side}"],
        "socket_timeout": config.timeout_seconds,
        # Whoever calls tries again, with ever longer waits.
        "retries": 0,
        "fragment_retries": 0,
        "extractor_retries": 0,
        "skip_unavailable_fragments": False,
        "noplaylist": True,
        "playlist_items": "0",
        "match_filter": _refuse_live,
        "hls_prefer_native": True,
        "fixup": "never",
        "updatetime": False,
        "cachedir": False,
        "color": "never",
        "quiet": True,
        "noprogress": True,
    }
    if config.megabytes_per_second is not None:
        options["ratelimit"] = config.megabytes_per_second * 1e6
    if config.cookies is not None:
        # A copy: tasks that write their cookies back would spoil each other's.
        options["cookiefile"] = io.StringIO(config.cookies.read_text())
    if config.proxy is not None:
        options["proxy"] = config.proxy
    return options


def _refuse_live(info: dict[str, Any], *, incomplete: bool) -> str | None:
    return "is still live" if info.get("is_live") else None


def _downloaded(info: dict[str, Any] | None) -> Downloaded:
    if info is None or info.get("is_live"):
        raise VideoFailedError("live", "is still live")
    if "entries" in info:
        raise VideoFailedError("playlist", "is a list of videos")
    files = [Path(each["filepath"]) for each in info.get("requested_downloads", [])]
    if len(files) != 1 or not files[0].is_file():
        raise VideoFailedError("nothing", "yt-dlp has left no file")
    if files[0].suffix.lower() not in RAW_SUFFIXES:
        raise VideoFailedError("container", f"is a {files[0].suffix} file, no video")
    return Downloaded(files[0], float(info.get("duration") or 0))
