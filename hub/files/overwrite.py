"""What `--overwrite` may replace: only what this kind of command wrote, and never an input of the command.

A folder that goodviews writes carries a marker that says of what kind it is. Older folders have none and are recognised
by the file that each kind has. A single file is recognised by how it begins.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import OutputExists, UsageError
from .leftovers import remove_leftovers

MARKER = ".goodviews"
FolderKind = Literal[
    "encoder",
    "run",
    "result",
    "export",
    "web page",
    "index",
    "comparison",
    "pictures",
    "demo",
    "page",
    "reports",
    "cache",
    "sweep",
    "generator",
    "duplicates",
]
_KINDS = get_args(FolderKind)
# The file that folders without a marker are recognised by, and a field in it.
_SIGNS = {
    "encoder": ("config.json", "goodviews"),
    "run": ("recipe.json", "recipe"),
    "result": ("report.json", "encoder"),
    "export": ("export.json", "encoder"),
    "index": ("index.json", "kind"),
    "comparison": ("comparison.json", "version"),
    "demo": ("demo.json", "steps"),
    "page": ("page.json", "baseline"),
    "sweep": ("sweep.json", "identity"),
}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # torch.save writes the first today and the second before 2020
_BEGINNINGS = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".pth": (_ZIP, _PICKLE),
    ".pt": (_ZIP, _PICKLE),
    ".tar": (_ZIP, _PICKLE),
    ".bin": (_ZIP, _PICKLE),
    ".pkl": (_PICKLE,),
    ".parquet": (b"PAR1",),
    ".npy": (b"\x93NUMPY",),
    ".csv": (b"path,sha256,",),  # of embed, which alone writes single tables
}

Input = str | Path | None  # a path, or a name that is no path; None for an option that was not given


def refuse_folder(out: Path, overwrite: bool, *, kind: FolderKind, inputs: Sequence[Input] = ()) -> None:
    """Refuse a folder that must not be replaced; an empty one may always be filled.

    What earlier commands that were killed left beside `out` is removed.

    Args:
        kind: what the command writes; with `overwrite` a folder of this kind may be replaced.
        inputs: of the command: `out` must be none of them, hold none and lie in none.

    Raises:
        OutputExists: `out` exists and must not be replaced.
    """
    remove_leftovers(out)
    if not (out.exists() or out.is_symlink()) or _is_empty_folder(out):
        return
    _refuse_inputs(out, inputs)
    if not out.is_dir():
        raise OutputExists(out, "It is a file, and this command makes a folder; give another name.")
    if kind_of(out) != kind:
        raise OutputExists(out, f"It was not written by this command ({kind}), so it stays; give another name.")
    if not overwrite:
        raise OutputExists(out)


def refuse_file(out: Path, overwrite: bool, *, inputs: Sequence[Input] = ()) -> None:
    """Refuse a file that must not be replaced: one of another kind than its suffix says, or an input.

    Raises:
        OutputExists: `out` exists and must not be replaced.
    """
    remove_leftovers(out)
    if not (out.exists() or out.is_symlink()):
        return
    _refuse_inputs(out, inputs)
    if out.is_dir():
        raise OutputExists(out, "It is a folder, and this command writes a file; give another name.")
    if not _begins_as_named(out):
        raise OutputExists(out, f"It is no {out.suffix or 'such'} file inside, so it stays; give another name.")
    if not overwrite:
        raise OutputExists(out)


def mark(folder: Path, kind: FolderKind) -> None:
    """Write the marker into a folder that goodviews makes."""
    (folder / MARKER).write_text(json.dumps({"kind": kind}) + "\n", "utf-8")


def kind_of(folder: Path) -> str | None:
    """Of what kind a folder is that goodviews wrote; None for any other."""
    marker = _read(folder / MARKER).get("kind")
    if marker in _KINDS:
        return str(marker)
    return next((kind for kind, (name, field) in _SIGNS.items() if field in _read(folder / name)), None)


def _refuse_inputs(out: Path, inputs: Sequence[Input]) -> None:
    places = {out.resolve(), out.parent.resolve() / out.name}  # of a link: what it leads to, and itself
    for given in inputs:
        path = Path(str(given)).expanduser() if given is not None else None
        if path is None or not (path.exists() or _is_pattern(path)):
            continue
        there = path.resolve() if path.exists() else path.parent.resolve()
        for here in places:
            relation = "is" if here == there else "holds" if there.is_relative_to(here) else None
            if relation is None and path.is_dir() and here.is_relative_to(there):
                relation = "lies inside"
            if relation is not None:
                raise OutputExists(out, f"It {relation} the input {given}, which stays as it is; give another name.")


def _is_pattern(path: Path) -> bool:
    """Whether a path stands for several files, as those of shards do."""
    return any(sign in path.name for sign in "{*?[") and path.parent.is_dir()


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _begins_as_named(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            begin = stream.read(16)
    except OSError:
        return False
    if path.suffix.lower() == ".safetensors":
        return begin[8:9] == b"{"
    beginnings = _BEGINNINGS.get(path.suffix.lower())
    if beginnings is None:
        raise UsageError(f"goodviews writes no file that ends like {path.name}; give another name.")
    return begin.startswith(beginnings)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
