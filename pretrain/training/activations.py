"""How much memory the backward pass needs: counted while a forward pass leaves it behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class SavedBytes:
    """What autograd has saved so far, each storage once; weights, which are there anyhow, do not count."""

    def __init__(self) -> None:
        self._storages: dict[int, int] = {}

    def __int__(self) -> int:
        return sum(self._storages.values())

    def add(self, tensor: Tensor) -> Tensor:
        """A tensor that autograd saves; it is given back as it is."""
        origin = tensor if tensor._base is None else tensor._base
        if not (origin.is_leaf and origin.requires_grad):
            storage = tensor.untyped_storage()
            self._storages[storage._cdata] = storage.nbytes()  # an address, which tensors without content have too
        return tensor


@contextmanager
def count_activations() -> Iterator[SavedBytes]:
    """The bytes that operations within the block save for their gradients."""
    saved = SavedBytes()
    with torch.autograd.graph.saved_tensors_hooks(saved.add, lambda tensor: tensor):
        yield saved


def describe_activations(count: int, images: int, device: torch.device) -> str:
    """A sentence for the log: the activations of a forward pass over `images`, and the peak of a GPU so far."""
    size = f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
    text = f"a forward pass of {images} images keeps {size} of activations"
    if device.type != "cuda":
        return text
    peak, there = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    return f"{text}; at most {peak / 1e9:.1f} of the GPU's {there / 1e9:.0f} GB were in use"
