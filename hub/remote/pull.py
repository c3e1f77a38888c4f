"""A repository as an encoder folder of one's own, checked before it stands under its name."""

import shutil
from pathlib import Path

from ..artifact import check
from ..errors import ArtifactError
from ..files.atomic import new_folder
from .fetch import fetch_all
from .names import Repository


def pull(repository: Repository, out: Path, *, overwrite: bool = False, token: str | None = None) -> Path:
    """Copy an encoder with its card and reports; weights that embed otherwise than their author's are refused.

    Raises:
        OutputExists: `out` exists and `overwrite` is off.
        ArtifactError: the repository cannot be read, holds no encoder of goodviews, or is damaged.
    """
    with new_folder(out, overwrite, kind="encoder") as folder:
        fetch_all(repository, folder, token=token)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
        problems = check(folder)
        if problems:
            raise ArtifactError(f"{repository} is not a sound encoder: {problems[0]}")
    return out
