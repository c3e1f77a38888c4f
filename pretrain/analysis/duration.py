"""A time that a user may spend: 90s, 30m, 2h."""

import re

from ...hub.errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """The seconds that a text such as "30m" stands for.

    Raises:
        UsageError: it is no time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"--budget {text} is no time; give seconds, minutes or hours, as in 90s, 30m or 2h.")
    return seconds
