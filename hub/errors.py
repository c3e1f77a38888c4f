"""The errors that a user can cause, each with one sentence: what was found, where, and what to do."""

from pathlib import Path


class GoodviewsError(Exception):
    """Base of all expected failures; the command line prints its text and exits with status 1."""


class ArtifactError(GoodviewsError):
    """An encoder folder, an exported file or an index is missing, damaged or made by something else."""


class DataError(GoodviewsError):
    """Images, labels or annotations are missing, unreadable or contradict each other."""


class TooManyPixels(DataError):
    """A photo is larger than what is decoded."""


class UsageError(GoodviewsError):
    """The request itself cannot be met: an unknown name, a value out of range, a field that does not exist."""


class OutputExists(GoodviewsError):
    """The output exists already, and --overwrite was not given."""

    def __init__(self, path: Path, hint: str = "Give another name, or --overwrite to replace it."):
        super().__init__(f"{path} exists already. {hint}")


class Busy(GoodviewsError):
    """Another process is writing there, and two would undo each other's work."""


class EndedTogether(GoodviewsError):
    """Another process of the same run says why all of them end; this one ends without a word."""


class MissingExtra(GoodviewsError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, *, extra: str, needed_for: str):
        super().__init__(f"{needed_for} needs {package}, which is not installed: {install_command(extra, package)}")


def install_command(extra: str, package: str) -> str:
    """The pip command for what an extra of goodviews asks for, by the requirements' own names.

    goodviews itself is on no package index, and somebody else could take its name there.
    """
    from importlib import metadata

    try:
        required = metadata.requires("goodviews") or []
    except metadata.PackageNotFoundError:
        required = []
    wanted = [text.partition(";")[0].strip() for text in required if f'extra == "{extra}"' in text]
    names = [name for name in wanted if not name.startswith("goodviews")] or [package]
    quoted = " ".join(f'"{name}"' for name in names)
    return f"pip install {quoted}"
