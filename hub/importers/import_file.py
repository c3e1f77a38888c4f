"""Somebody's checkpoint becomes an encoder folder: recognised, sorted, loaded strictly, every tensor reported."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from ..backbone import empty_backbone
from ..encoder import Encoder, Origin
from ..encoder_folder import write_encoder
from ..errors import ArtifactError, UsageError
from ..files.atomic import new_folder, write_json
from ..files.overwrite import refuse_folder
from ..identity import sha256
from ..preprocessing import Preprocessing
from ..weights import load_strictly
from .architecture import Architecture, read_architecture
from .read_file import read_file
from .sanity import check_values
from .sort_tensors import SortedBranch, SortedFile, sort_tensors

_COUNTER = "num_batches_tracked"  # how many batches a batch norm saw; older files lack it, and no feature depends on it


@dataclass(frozen=True)
class ImportedEncoder:
    """One encoder of a checkpoint, and where each of its tensors was; `folder` is added to the folder's name."""

    encoder: Encoder
    came_from: dict[str, str]
    folder: str = ""


@dataclass(frozen=True)
class ImportReport:
    """What became of a checkpoint, tensor by tensor."""

    file: str
    sha256: str
    format: str
    title: str
    encoders: tuple[ImportedEncoder, ...]
    dropped: dict[str, str]
    unread: tuple[str, ...]
    remarks: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For import.json of the encoder's folder."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "format": self.format,
            "tensors": {"encoder" + one.folder: one.came_from for one in self.encoders},
            "left_behind": self.dropped,
            "entries_not_read": list(self.unread),
            "remarks": list(self.remarks),
        }


def read_encoders(
    path: Path,
    *,
    format: str = "auto",
    architecture: str | None = None,
    licence: str | None = None,
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    address: str | None = None,
) -> ImportReport:
    """The encoders of a checkpoint, in memory.

    Args:
        path: the file.
        format: a name of `formats.FORMATS`, or "auto".
        architecture: where shapes do not tell it, e.g. "resnet18_cifar", or any name of timm's.
        licence: an SPDX name, for config.json.
        name: for people; the file's name if not given.
        preprocessing: of the encoder's photos, if not the format's.
        address: where the file was downloaded from.

    Raises:
        ArtifactError: the file cannot be read safely, is of no known format, or does not hold one encoder whole.
        UsageError: the format or the architecture is unknown.
    """
    sorted_file = sort_tensors(read_file(path), source=path, format=format)
    digest = sha256(path)
    imported = {"file": path.name, "sha256": digest, "format": sorted_file.layout.name}
    origin = Origin(
        name or _plain_name(path), licence=licence, imported=imported | ({"address": address} if address else {})
    )
    remarks: list[str] = [sorted_file.layout.remark] if sorted_file.layout.remark else []
    encoders = []
    for branch in sorted_file.branches:
        weights = _complete(branch, remarks)
        remarks += check_values(weights, source=path)
        backbone = _build(weights, sorted_file, architecture, source=path)
        load_strictly(backbone, weights, source=path)
        own = replace(origin, name=origin.name + branch.branch.folder.replace("_", " "))
        made = Encoder(backbone, preprocessing or sorted_file.layout.preprocessing, own)
        encoders.append(ImportedEncoder(made, branch.came_from, branch.branch.folder))
    return ImportReport(
        path.name,
        digest,
        sorted_file.layout.name,
        sorted_file.layout.title,
        tuple(encoders),
        sorted_file.dropped,
        sorted_file.unread,
        tuple(dict.fromkeys(remarks)),
    )


def read_encoder(path: Path, *, format: str = "auto", architecture: str | None = None) -> Encoder:
    """The one encoder of a checkpoint, in memory.

    Raises:
        ArtifactError: as `read_encoders`, or there are two.
    """
    report = read_encoders(path, format=format, architecture=architecture)
    if len(report.encoders) > 1:
        raise ArtifactError(
            f"{path} holds {len(report.encoders)} encoders ({report.title}): goodviews hub import {path} --out E "
            "writes each to a folder of its own."
        )
    return report.encoders[0].encoder


def import_file(path: Path, out: Path, *, overwrite: bool = False, **choices: Any) -> ImportReport:
    """Write what `read_encoders` reads, which takes the other arguments: `out`, and for a second branch `out`_chroma.

    Raises:
        OutputExists: a folder exists and `overwrite` is off.
        ArtifactError, UsageError: as `read_encoders`.
    """
    refuse_folder(out, overwrite, kind="encoder", inputs=[path])
    report = read_encoders(path, **choices)
    folders = [out.with_name(out.name + one.folder) for one in report.encoders]
    for folder in folders:
        refuse_folder(folder, overwrite, kind="encoder", inputs=[path])
    with ExitStack() as stack:  # all folders take their names once all are written
        for one, folder in zip(report.encoders, folders):
            partial = stack.enter_context(new_folder(folder, overwrite, kind="encoder", inputs=[path]))
            write_encoder(one.encoder, partial)
            write_json(partial / "import.json", report.as_json())
    return report


def _complete(branch: SortedBranch, remarks: list[str]) -> dict[str, Tensor]:
    """The branch's tensors as the network takes them; what is changed is remarked."""
    weights = dict(branch.weights)
    norms = [name.removesuffix("running_var") for name in weights if name.endswith("running_var")]
    missing = [norm for norm in norms if norm + _COUNTER not in weights]
    if missing:
        weights |= {norm + _COUNTER: torch.tensor(0) for norm in missing}
        remarks.append(f"{len(missing)} counters of batches are missing and are set to 0; no feature depends on them.")
    other = {str(t.dtype).removeprefix("torch.") for t in weights.values() if t.is_floating_point()} - {"float32"}
    if other:
        remarks.append(f"Weights are stored as {', '.join(sorted(other))} and become float32.")
    colours = branch.branch.colours
    if colours is not None:
        weights["conv1.weight"] = _on_rgb(weights, torch.tensor(colours))
    return weights


def _on_rgb(weights: Mapping[str, Tensor], colours: Tensor) -> Tensor:
    """The first convolution with the change of colours in it: (O, K, H, W) and (K, 3) -> (O, 3, H, W)."""
    first = weights.get("conv1.weight", torch.empty(0))
    if first.dim() != 4 or first.shape[1] != len(colours):
        raise ArtifactError(
            f"A branch's first convolution has the shape {tuple(first.shape)}; {len(colours)} channels were expected."
        )
    return torch.einsum("okhw,kc->ochw", first.float(), colours)


def _build(
    weights: Mapping[str, Tensor], sorted_file: SortedFile, architecture: str | None, *, source: Path
) -> torch.nn.Module:
    if architecture is not None and not timm.is_model(architecture):
        raise UsageError(f"timm has no model called {architecture}; give its name, e.g. resnet50 or resnet18_cifar.")
    is_small = architecture is not None and architecture.endswith("_cifar")
    if architecture is not None and not is_small:
        return empty_backbone(architecture, {})
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    padding = 1 if is_small else sorted_file.layout.small_stem_padding
    found: Architecture = read_architecture(shapes, source=str(source), small_stem_padding=padding)
    if architecture is not None and found.name != architecture:
        raise ArtifactError(f"{source} holds a {found.name}, not a {architecture}.")
    return empty_backbone(found.name, found.model_args)


def _plain_name(path: Path) -> str:
    return re.sub(r"(\.pth|\.pt|\.tar|\.ckpt|\.pkl|\.torch|\.bin|\.safetensors)+$", "", path.name) or path.name
