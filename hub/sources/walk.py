"""The one walk through a folder of photos: pretraining, encoding, transfer and indexes all see what it lists.

Links to folders are followed. Hidden folders and those that systems make beside photos hold no photo of the data.
What is left out although somebody may miss it (photos in formats that nothing here reads, links that lead nowhere or
back, folders that cannot be read) is counted and named.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..files.overwrite import MARKER
from ..files.own_pictures import LIST, own_pictures
from ..images import has_image_suffix
from ..output.printing import shown

SYSTEM_FOLDERS = frozenset(
    {"@eadir", "__macosx", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
# Photos by their suffix, and the package that reads them.
UNREAD = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".jxl": "pillow-jxl-plugin"}
UNREAD |= {".dcm": "pydicom", ".dicom": "pydicom", ".exr": "OpenEXR", ".nef": "rawpy", ".cr2": "rawpy"}
UNREAD |= {f".{raw}": "rawpy" for raw in ("cr3", "crw", "arw", "dng", "nrw", "orf", "pef", "raf", "rw2", "srw")}
_NAMED = 3  # of what is left out, so many are named

_Place = tuple[int, int]  # device and number of a folder, equal for all links to it


@dataclass
class Listing:
    """What lies below a folder.

    Attributes:
        names: image files from the folder on, with forward slashes, in no order.
        stamps: when each folder was last changed, in nanoseconds, by its name.
        files: how many files of whatever kind were seen.
    """

    names: list[str] = field(default_factory=list)
    stamps: dict[str, int] = field(default_factory=dict)
    files: int = 0
    _unread: Counter[str] = field(default_factory=Counter)
    _broken: list[str] = field(default_factory=list)
    _loops: list[str] = field(default_factory=list)
    _closed: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """A sentence for each kind of thing that was left out."""
        found = []
        if self._unread:
            kinds = ", ".join(f"{count} {suffix} ({UNREAD[suffix]})" for suffix, count in sorted(self._unread.items()))
            found.append(f"left out, photos that only other packages read: {kinds}; convert them to JPEG or PNG")
        for names, what in (
            (self._broken, "links that lead nowhere"),
            (self._loops, "links that lead back to a folder they lie in"),
            (self._closed, "folders that cannot be read"),
        ):
            if names:
                more = ", …" if len(names) > _NAMED else ""
                listed = ", ".join(shown(name) for name in sorted(names)[:_NAMED])
                found.append(f"left out, {what}: {len(names)} ({listed}{more})")
        return found


def walk(root: Path) -> Listing:
    """List the images below a folder.

    Raises:
        OSError: the folder itself cannot be read.
    """
    listing = Listing()
    folders: list[tuple[str, tuple[_Place, ...]]] = [("", ())]
    while folders:
        folder, above = folders.pop()
        try:
            folders += _read(root, folder, above, listing)
        except OSError:
            if not folder:
                raise
            listing._closed.append(folder.rstrip("/"))
    return listing


def is_passed_over(name: str) -> bool:
    """Whether a folder or file of this name is hidden, or one that a system makes for itself."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def _read(root: Path, folder: str, above: tuple[_Place, ...], listing: Listing) -> list[tuple[str, tuple[_Place, ...]]]:
    """Add one folder to the listing; returns the folders in it."""
    path = root / folder
    stat = path.stat()  # before it is read: what comes later shows next time
    chain = (*above, (stat.st_dev, stat.st_ino))
    with os.scandir(path) as opened:
        entries = list(opened)
    listing.stamps[folder] = stat.st_mtime_ns
    if folder and any(entry.name == MARKER for entry in entries):
        return []  # written by goodviews: pictures in it are results
    ours = own_pictures(path) if any(entry.name == LIST for entry in entries) else frozenset()
    found = []
    for entry in entries:
        if is_passed_over(entry.name) or entry.name in ours:
            continue
        name = folder + entry.name
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself
            is_folder = is_file = False
        if is_folder and _leads_back(entry, chain):
            listing._loops.append(name)
        elif is_folder:
            found.append((name + "/", chain))
        elif is_file:
            _add_file(name, entry.name, listing)
        elif entry.is_symlink():
            listing._broken.append(name)
    return found


def _leads_back(entry: "os.DirEntry[str]", chain: tuple[_Place, ...]) -> bool:
    if not entry.is_symlink():
        return False
    stat = entry.stat()
    return (stat.st_dev, stat.st_ino) in chain


def _add_file(name: str, last: str, listing: Listing) -> None:
    listing.files += 1
    if has_image_suffix(last):
        listing.names.append(name)
    else:
        suffix = os.path.splitext(last)[1].lower()  # noqa: PTH122, fast
        if suffix in UNREAD:
            listing._unread[suffix] += 1
