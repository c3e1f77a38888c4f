"""Going on from what a run has learned: an encoder folder that carries the run's whole state in training/.

A run that is resumed goes on as if it had never stopped. A run that continues from a folder is a new one, in a RUN of
its own, with its own schedule, order of images, length and, if wished, data; it starts with the other's networks, queue
and optimiser instead of new ones.
"""

import logging
import shutil
from pathlib import Path

from ...hub.artifact import read_config
from ...hub.errors import ArtifactError
from . import checkpoint
from .checkpoint import RunState

log = logging.getLogger(__name__)

FOLDER = "training"


def copy_training(state: Path, recipe: Path, encoder: Path) -> None:
    """Put a run's checkpoint folder and its recipe.json into ENCODER/training.

    Raises:
        GoodviewsError: the disk refuses; the encoder is whole without it.
    """
    checkpoint.copy(state, encoder / FOLDER)
    shutil.copyfile(recipe, encoder / FOLDER / recipe.name)


def parent_of(folder: Path) -> str:
    """Which encoder a run starts from, for config.json: its name and its weights' digest.

    Raises:
        ArtifactError: no encoder folder, or one without training/.
    """
    ours = read_config(folder)["goodviews"]
    if not (folder / FOLDER / checkpoint.FILE).is_file():
        raise ArtifactError(
            f"{folder} holds an encoder but not the state it was trained with: {FOLDER}/ is missing. "
            "A run keeps it when it is started with --keep-training; --init starts from the encoder alone."
        )
    return f"{ours.get('name', 'unnamed')} (weights {ours['weights_sha256']})"


def start_from(folder: Path, state: RunState) -> None:
    """Put FOLDER/training into a new run's state, all but the number of steps.

    Raises:
        ArtifactError: the state is of another architecture or method.
    """
    checkpoint.inherit(state, folder / FOLDER)
