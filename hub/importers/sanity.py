"""Weights that fit by shape may still be no trained network: values that are not finite, variances that cannot be."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ArtifactError

_COUNTS = "num_batches_tracked"  # of a batch norm, the only whole number


def check_values(weights: Mapping[str, Tensor], *, source: Path | str) -> list[str]:
    """Remarks on what is odd but can be; what cannot be is an error.

    A single channel whose variance has sunk to 0 is dead, and harmless: batch norm adds 1e-5. A layer of nothing but
    zeros never saw a photo.

    Raises:
        ArtifactError: a tensor is sparse, complex, quantised, of whole numbers or without values; a value is not
            finite, a variance is negative, or all of a layer's variances are 0.
    """
    for name, tensor in weights.items():
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise ArtifactError(
                f"{source} holds {name} as {_kind(tensor)}; save it with plain tensors of real numbers."
            )
        if not tensor.is_floating_point() and not name.endswith(_COUNTS):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ArtifactError(
                f"{source} holds {name} in whole numbers ({kind}), which no trained weights are; save it in floating "
                "point."
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactError(f"{source} holds values in {name} that are not finite; the training had failed.")
    variances = {name: tensor for name, tensor in weights.items() if name.endswith("running_var")}
    for name, tensor in variances.items():
        if bool((tensor < 0).any()):
            raise ArtifactError(f"{source} holds a negative variance in {name}; the file is damaged.")
        if len(tensor) and not bool(tensor.any()):
            raise ArtifactError(f"{source} holds nothing but zeros in {name}: this batch norm never saw a photo.")
    dead = sum(int((tensor == 0).sum()) for tensor in variances.values())
    remarks = [f"{dead} channels have a variance of 0: they are dead."] if dead else []
    if variances and all(bool((tensor == 1).all()) for tensor in variances.values()):
        remarks.append("All variances of the batch norms are 1: the network seems untrained.")
    return remarks


def _kind(tensor: Tensor) -> str:
    if tensor.is_meta:
        return "a shape without values"
    if tensor.is_quantized:
        return "quantised values"
    return "complex numbers" if tensor.is_complex() else "a sparse tensor"
