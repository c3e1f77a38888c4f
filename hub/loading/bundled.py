"""goodviews:NAME: the encoders that ship inside the package."""

from pathlib import Path

from ..artifact import load
from ..encoder import Encoder
from ..errors import UsageError

BUNDLED = {"mini": Path(__file__).parents[1] / "mini"}


def load_bundled(name: str) -> Encoder:
    """An encoder of the package, without a network.

    Raises:
        UsageError: none of that name ships.
    """
    if name not in BUNDLED:
        known = ", ".join(f"goodviews:{one}" for one in BUNDLED)
        raise UsageError(f"No encoder goodviews:{name} ships with goodviews; there is {known}.")
    return load(BUNDLED[name])
