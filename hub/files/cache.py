"""The folder for what is worth keeping between runs: listings of large folders, decoded photos."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """$GOODVIEWS_CACHE, else the place the system has for it: on Linux $XDG_CACHE_HOME/goodviews or ~/.cache/goodviews.

    It may not exist yet; whoever writes there makes it.
    """
    if chosen := os.environ.get("GOODVIEWS_CACHE"):
        return Path(chosen)
    return platformdirs.user_cache_path("goodviews", appauthor=False)
