"""Numbers and times as a person reads them."""

import time

UNKNOWN = "-"
MINUTE, HOUR, DAY = 60, 3600, 86_400


def duration(seconds: float) -> str:
    """The two largest units: `4 d 7 h`, `2 h 05 min`, `12 min`, `40 s`."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def moment(seconds: float, now: float) -> str:
    """A time, in seconds since 1970: `Sat 14:20` within days from now, else `21 Nov 14:20`."""
    form = "%a %H:%M" if abs(seconds - now) < 6 * DAY else "%d %b %H:%M"
    return time.strftime(form, time.localtime(seconds))


def rate(per_second: float, unit: str) -> str:
    """`31.2 videos/s`; what is slower than one in ten seconds by the hour: `12 videos/h`."""
    if 0 < per_second < 0.1:
        return f"{per_second * HOUR:.3g} {unit}/h"
    return f"{per_second:,.3g} {unit}/s" if per_second < 1000 else f"{per_second:,.0f} {unit}/s"


def percent(share: float) -> str:
    """A share of 1 in whole percent."""
    return f"{100 * share:.0f} %"


def shortened(text: str, characters: int) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= characters else f"{text[: characters - 4]} ..."
