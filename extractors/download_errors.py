"""What it means that a video could not be had: gone for good, worth another try, or all must wait.

The reasons lie in yt-dlp's exceptions, often several deep, and for YouTube in the words that it
shows to people. What is not known to be final is worth another try: a video taken for gone by
mistake would never be asked for again.
"""

import errno
import re
from collections.abc import Iterable, Iterator, Sequence

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from mcn.data.failure_class import FailureClass, class_of

BLOCKS = (
    "confirm you're not a bot",
    "this content isn't available, try again later",
    "rate-limited by youtube",
    "captcha challenge",
    "http error 429",
)
"""What a site says when it wants to hear no more of us; YouTube's videos are still there then."""

CURABLE = {
    "in your country": "region",
    "confirm your age": "age",
}
"""What another proxy or somebody's cookies may mend; may stand behind `Video unavailable`."""

FINAL = {
    "private video": "private",
    "this video is private": "private",
    "members-only": "private",
    "join this channel": "private",
    "has been removed": "removed",
    "no longer available": "removed",
    "account associated with this video has been terminated": "removed",
    "video unavailable": "unavailable",
    "this video is unavailable": "unavailable",
    "incomplete youtube id": "no_such_id",
}
GONE = (404, 410)
HTTP_STATUS = re.compile(r"http error (\d{3})")

OWN_TROUBLES = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EMFILE, errno.ENFILE}
)
"""Errors of this machine's files, of which no video is guilty."""

_MOST_DETAIL_CHARACTERS = 300


class VideoFailedError(Exception):
    """This video could not be had."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    @property
    def kind(self) -> FailureClass:
        return class_of(self.reason)


class BlockedError(Exception):
    """The site wants to be left alone; that says nothing of the video."""

    def __init__(self, detail: str, retry_after_seconds: float | None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


def explain(
    error: Exception, url: str, warnings: Sequence[str] = ()
) -> VideoFailedError | BlockedError | OSError:
    """What an exception of yt-dlp means.

    Args:
        error: What it raised; its extractors may raise anything.
        url: What it was asked for. That this page is missing is final; a missing page that the
            extraction asks for on the way, or missing data, is not.
        warnings: What it had said before; a page that was refused may be no more than that.
    """
    causes = list(_causes(error))
    answers = [cause for cause in causes if isinstance(cause, HTTPError)]
    for answer in answers:
        answer.close()  # as nobody reads its page
    is_extraction = any(isinstance(cause, ExtractorError) for cause in causes)
    detail = _detail(causes)
    said = _plain(" ".join(map(str, causes)))
    if _first(BLOCKS, said) or _first(BLOCKS, _plain(" ".join(warnings))):
        return BlockedError(detail, _retry_after_seconds(answers))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in OWN_TROUBLES:
            return OSError(cause.errno, cause.strerror, cause.filename)
    if is_extraction and any(a.status in GONE and a.response.url == url for a in answers):
        return VideoFailedError("gone", detail)
    if any(isinstance(cause, GeoRestrictedError) for cause in causes):
        return VideoFailedError("region", detail)
    if words := _first(CURABLE, said):
        return VideoFailedError(CURABLE[words], detail)
    if is_extraction and (words := _first(FINAL, said)):
        return VideoFailedError(FINAL[words], detail)
    if status := HTTP_STATUS.search(said):
        return VideoFailedError(f"http_{status[1]}", detail)
    if any(isinstance(cause, TransportError) for cause in causes):
        return VideoFailedError("network", detail)
    is_data = isinstance(error, DownloadError) and not is_extraction
    return VideoFailedError("data" if is_data else "extraction", detail)


def _plain(text: str) -> str:
    return text.replace("\u2019", "'").lower()


def _first(phrases: Iterable[str], text: str) -> str | None:
    return next((phrase for phrase in phrases if phrase in text), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it came from; yt-dlp keeps them in attributes of its own."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (getattr(cause, "exc_info", None) or (None, None))[1]
        named = getattr(cause, "cause", None)
        for each in (inner, named, cause.__cause__, cause.__context__):
            if isinstance(each, BaseException):
                waiting.append(each)


def _detail(causes: list[BaseException]) -> str:
    """The sentence that says most, without yt-dlp's plea to report it."""
    said = [cause.orig_msg for cause in causes if isinstance(cause, ExtractorError)]
    text = said[0] if said else str(causes[0]).removeprefix("ERROR: ")
    text = text.replace("\r[download] Got error: ", "")
    return " ".join(text.split())[:_MOST_DETAIL_CHARACTERS]


def _retry_after_seconds(answers: list[HTTPError]) -> float | None:
    """What the site asks for; None where it gives no number of seconds."""
    values = [answer.response.headers.get("Retry-After") or "" for answer in answers]
    return max((float(value) for value in values if value.isdecimal()), default=None)
