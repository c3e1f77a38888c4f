"""The labels of the data, as a supervised objective is given them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .memory import Memory, Part


@dataclass(frozen=True)
class Labels:
    """What supervised training tells its objective: the classes of a part's images, (N,), int64."""

    classes: Tensor


class LabelledData(Memory):
    """The class of every image of the data; it never changes."""

    def __init__(self, labels: NDArray[np.int64], device: torch.device | str = "cpu"):
        self.labels, self.device = labels, device

    def known(self, part: Part) -> Labels:
        classes = torch.tensor([self.labels[sample] for sample in part.samples.tolist()])
        return Labels(classes.to(self.device, non_blocking=True))
