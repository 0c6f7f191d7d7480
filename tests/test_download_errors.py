"""What yt-dlp says, as it comes out of yt-dlp, and what is made of it."""

from typing import Any

import pytest
from yt_dlp import YoutubeDL
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError, GeoRestrictedError

from extractors.download_errors import BlockedError, VideoFailedError, explain

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def explained(error: Exception, *warnings: str) -> VideoFailedError | BlockedError | OSError:
    """What is made of an error that an extractor of yt-dlp raises."""

    class Raising(InfoExtractor):  # type: ignore[misc]
        _VALID_URL = r"https://www\.youtube\.com/watch\?v=(?P<id>.+)"

        def _real_extract(self, url: str) -> dict[str, Any]:
            raise error

    with YoutubeDL({"quiet": True, "logger": Silent()}, auto_init=False) as site:
        site.add_info_extractor(Raising())
        with pytest.raises(Exception) as raised:
            site.extract_info(URL)
    return explain(raised.value, URL, warnings)


class Silent:
    def debug(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Video unavailable", "unavailable"),
        ("This video is unavailable", "unavailable"),
        (
            "Private video. Sign in if you've been granted access to this video. Use "
            "--cookies-from-browser or --cookies for the authentication.",
            "private",
        ),
        ("Video unavailable. This video is private", "private"),
        ("This video has been removed by the uploader", "removed"),
        ("This video has been removed for violating YouTube\u2019s Terms of Service", "removed"),
        (
            "Video unavailable. This video is no longer available because the YouTube account "
            "associated with this video has been terminated.",
            "removed",
        ),
        ("Join this channel to get access to members-only content like this video", "private"),
        ("Incomplete YouTube ID abc. URL https://... looks truncated.", "no_such_id"),
    ],
)
def test_what_is_gone_or_private_stays_so(text: str, reason: str) -> None:
    failure = explained(ExtractorError(text, expected=True, video_id="dQw4w9WgXcQ"))
    assert isinstance(failure, VideoFailedError)
    assert (failure.kind, failure.reason, str(failure)) == ("permanent", reason, text)


@pytest.mark.parametrize(
    "text",
    [
        "Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies",
        "Sign in to confirm you're not a bot",
        "Video unavailable. This content isn\u2019t available, try again later. The current "
        "session has been rate-limited by YouTube for up to an hour.",
        "Video unavailable. YouTube is requiring a captcha challenge before playback",
        "Unable to download API page: HTTP Error 429: Too Many Requests",
    ],
)
def test_a_site_that_blocks_says_nothing_of_the_video(text: str) -> None:
    assert isinstance(explained(ExtractorError(text, expected=True)), BlockedError)


def test_a_block_that_was_only_a_warning_is_one() -> None:
    error = ExtractorError("No video formats found!", expected=True)
    warning = "[youtube] Unable to download webpage: HTTP Error 429: Too Many Requests"
    assert isinstance(explained(error, warning), BlockedError)
    assert isinstance(explained(error, "[youtube] something else"), VideoFailedError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExtractorError("Sign in to confirm your age. This video may be inappropriate"), "age"),
        (ExtractorError("Video unavailable. X has blocked it in your country"), "region"),
        (GeoRestrictedError("The uploader has not made this video available here"), "region"),
        (ExtractorError("This live event will begin in 3 hours"), "extraction"),
        (ExtractorError("Unable to extract player", cause=KeyError("x")), "extraction"),
        (ExtractorError("Unable to download API page: HTTP Error 404: Not Found"), "http_404"),
        (AttributeError("'NoneType' object has no attribute 'get'"), "extraction"),
    ],
)
def test_all_else_may_come_yet(error: Exception, reason: str) -> None:
    failure = explained(error)
    assert isinstance(failure, VideoFailedError)
    assert (failure.kind, failure.reason) == ("transient", reason)


def test_a_sentence_is_kept_short_and_on_one_line() -> None:
    failure = explained(ExtractorError("a\nb " + "x" * 1000))
    assert str(failure).startswith("a b xxx")
    assert len(str(failure)) == 300
