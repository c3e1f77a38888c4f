"""A checkpoint's tensors are sorted: those of each encoder under torchvision's names, and those left behind with the
reason. A tensor that the format does not know is an error."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ArtifactError
from .formats import FORMATS, choose_format, readable
from .layout import Branch, Drop, Layout

_WRAPPERS = ("module.", "_orig_mod.")  # of nn.DataParallel and DistributedDataParallel; of torch.compile


@dataclass(frozen=True)
class Found:
    """A container of tensors: its place in the file, and names without wrappers -> names in the file."""

    place: str
    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]


@dataclass(frozen=True)
class SortedBranch:
    """One encoder's tensors, by torchvision's names, and where in the file each was."""

    branch: Branch
    weights: dict[str, Tensor]
    came_from: dict[str, str]


@dataclass(frozen=True)
class SortedFile:
    """What is where in a checkpoint."""

    layout: Layout
    branches: tuple[SortedBranch, ...]
    dropped: dict[str, str] = field(default_factory=dict)  # name in the file -> reason
    unread: tuple[str, ...] = ()  # entries of the file beside the tensors


def sort_tensors(content: Any, *, source: Path | str, format: str = "auto") -> SortedFile:
    """Recognise the format, or take the one named, and sort.

    Raises:
        ArtifactError: the file is of no format that can be imported, or holds tensors that its format does not have.
        UsageError: there is no format of that name.
    """
    layout, found = _recognise(content, source) if format == "auto" else _take(content, choose_format(format), source)
    if layout.refusal:
        raise ArtifactError(f"{source} cannot be imported ({layout.title}): {layout.refusal}.")
    branches, left = [], dict(found.names)
    for branch in layout.branches:
        sorted_branch = _sort_branch(branch, layout, found, left)
        branches.append(sorted_branch)
        if not sorted_branch.weights:
            raise ArtifactError(f"{source} holds no tensor that begins with {' or '.join(branch.prefixes)}.")
    reasons = {original: _reason(layout.drops, name) for name, original in left.items()}
    unknown = [name for name, reason in reasons.items() if reason is None]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ArtifactError(
            f"{source} holds the tensor {unknown[0]}{more}, which files of {layout.title} do not have; "
            "name another format by --format, or save the encoder's tensors alone."
        )
    dropped = {name: reason for name, reason in reasons.items() if reason is not None}
    return SortedFile(layout, tuple(branches), dropped, _entries_beside(content, found.place))


def _sort_branch(branch: Branch, layout: Layout, found: Found, left: dict[str, str]) -> SortedBranch:
    """Takes the branch's names out of `left`."""
    weights: dict[str, Tensor] = {}
    came_from: dict[str, str] = {}
    prefix = next((p for p in branch.prefixes if p and any(name.startswith(p) for name in left)), branch.prefixes[-1])
    for name, original in list(left.items()):
        if not name.startswith(prefix) or _reason(layout.drops, name) is not None:
            continue
        short = name.removeprefix(prefix)
        for pattern, replacement in layout.rename:
            short = re.sub(pattern, replacement, short)
        weights[short], came_from[short] = found.tensors[original], original
        del left[name]
    return SortedBranch(branch, weights, came_from)


def _reason(drops: tuple[Drop, ...], name: str) -> str | None:
    return next((drop.reason for drop in drops if re.match(drop.pattern, name)), None)


def _recognise(content: Any, source: Path | str) -> tuple[Layout, Found]:
    names: list[str] = []
    for layout in FORMATS.values():
        for found in _containers(content, layout):
            if layout.recognise(list(found.names)):
                return layout, found
            names = names or list(found.names)
    if not names:
        raise ArtifactError(f"{source} holds no dictionary of tensors; it is no checkpoint that can be imported.")
    raise ArtifactError(
        f"{source} is of no format that goodviews recognises: its tensors are called {', '.join(names[:3])} and so on. "
        f"Name its format by --format: {', '.join(readable())}."
    )


def _take(content: Any, layout: Layout, source: Path | str) -> tuple[Layout, Found]:
    for found in _containers(content, layout):
        for branch in layout.branches:
            if any(name.startswith(branch.prefixes) for name in found.names):
                return layout, found
    places = " or ".join(place or "its top" for place in layout.containers)
    beginnings = " or ".join(prefix or "conv1" for prefix in layout.branches[0].prefixes)
    raise ArtifactError(
        f"{source} is no file of {layout.title}: it has no tensors at {places} that begin with {beginnings}. "
        "Leave --format out to have it recognised."
    )


def _containers(content: Any, layout: Layout) -> list[Found]:
    found = []
    for place in layout.containers:
        inside = content
        for step in filter(None, place.split(".")):
            inside = inside.get(step) if isinstance(inside, Mapping) else None
        tensors = _tensors(inside)
        if tensors:
            found.append(Found(place, tensors, _without_wrappers(tensors)))
    return found


def _tensors(inside: Any) -> dict[str, Tensor]:
    if not isinstance(inside, Mapping):
        return {}
    return {str(name): value for name, value in inside.items() if isinstance(value, Tensor)}


def _without_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    names = {name: name for name in tensors}
    while wrapper := next((w for w in _WRAPPERS if all(name.startswith(w) for name in names)), None):
        names = {name.removeprefix(wrapper): original for name, original in names.items()}
    return names


def _entries_beside(content: Any, place: str) -> tuple[str, ...]:
    if not isinstance(content, Mapping) or not place:
        return ()
    return tuple(str(key) for key in content if key != place.split(".")[0])
