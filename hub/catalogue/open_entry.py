"""An entry of the catalogue becomes an encoder folder in the cache: downloaded, checked, imported, kept."""

import hashlib
import logging
import shutil
import urllib.parse
from pathlib import Path

from filelock import FileLock

from ..errors import ArtifactError
from ..files.cache import cache_folder
from ..importers.import_file import import_file
from .download import DeadAddress, download
from .entries import Entry, Fact, get_entry

log = logging.getLogger(__name__)


def open_catalogue_entry(name: str, *, cache_dir: Path | str | None = None, local_files_only: bool = False) -> Path:
    """The folder of an entry's encoder, made at the first call; of CMC's two encoders, luma's.

    Args:
        name: of the entry, as `goodviews hub list` shows it.
        cache_dir: where folders are kept; by default $GOODVIEWS_CACHE or the user's cache folder.
        local_files_only: do not use the network.

    Raises:
        UsageError: the catalogue has no such entry.
        ArtifactError: it cannot be imported, its address is dead, the transfer broke, or the file is not what its
            authors published; the message says what can be done.
    """
    entry = get_entry(name)
    folder = _place(entry, cache_dir)
    if (folder / "encoder" / "config.json").is_file():
        return folder / "encoder"
    if entry.importer is None:
        why = entry.reason.value if entry.reason else "nobody says how its file is laid out"
        raise ArtifactError(f"The catalogue's {name} cannot be imported: {why}.")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if (folder / "encoder" / "config.json").is_file():  # another process has made it meanwhile
            return folder / "encoder"
        file, address = _file(entry, folder / "download", local_files_only)
        _check(entry, file)
        import_file(
            file,
            folder / "encoder",
            format=entry.importer.value,
            preprocessing=entry.preprocessing.value if entry.preprocessing else None,
            licence=entry.licence.value if entry.licence else None,
            name=entry.name,
            address=address,
        )
        shutil.rmtree(folder / "download", ignore_errors=True)
    return folder / "encoder"


def _place(entry: Entry, cache_dir: Path | str | None) -> Path:
    """A folder of its own for each version of the entry: a corrected one is fetched anew."""
    parts = (entry.address, entry.checksum, entry.importer, entry.preprocessing)
    version = hashlib.sha256(repr([part.value if part else None for part in parts]).encode()).hexdigest()[:8]
    return Path(cache_dir or cache_folder()) / "catalogue" / f"{entry.name}-{version}"


def _file(entry: Entry, folder: Path, local_files_only: bool) -> tuple[Path, str]:
    """The entry's file and the address it came from; one that somebody put there by hand is taken."""
    target = folder / _file_name(entry)
    usual = str(entry.address.value) if entry.address else "nowhere"
    if target.is_file():
        return target, usual
    if local_files_only:
        raise ArtifactError(f"The catalogue's {entry.name} is not in the cache, and the network is not to be used.")
    addresses = [
        fact for fact in (entry.address, *entry.copies) if fact and not (fact is entry.address and entry.by_hand)
    ]
    failures: list[ArtifactError] = []
    for fact in addresses:
        try:
            log.info("Downloading %s from %s", entry.name, fact.value)
            return download(str(fact.value), target), str(fact.value)
        except ArtifactError as error:
            failures.append(error)
    for failure in failures:
        if not isinstance(failure, DeadAddress):  # the network failed: the next call may go on
            raise failure
    raise ArtifactError(_what_to_do(entry, target, [str(failure) for failure in failures]))


def _what_to_do(entry: Entry, target: Path, dead: list[str]) -> str:
    found = "; ".join(dead) if dead else entry.by_hand.value if entry.by_hand else "no address is known"
    page = entry.address.source.page if entry.address else "the method's own page"
    by_browser = (
        f"get {target.name} with a browser from {entry.address.value}"
        if entry.by_hand and entry.address
        else (f"look for a copy of {target.name}: the page that offered it is {page}")
    )
    return (
        f"The catalogue's {entry.name} was not downloaded: {found}. To use it, {by_browser}; put it at {target} and "
        "call again."
    )


def _file_name(entry: Entry) -> str:
    if entry.file:
        return str(entry.file.value)
    path = urllib.parse.urlparse(str(entry.address.value)).path if entry.address else ""
    last = urllib.parse.unquote(Path(path).name)
    has_suffix = any(part in last for part in (".pth", ".torch", ".ckpt", ".pkl"))
    return last if has_suffix else f"{entry.name}.pth.tar"


def _check(entry: Entry, file: Path) -> None:
    """Against the digest that the authors publish, which may be only its beginning."""
    if entry.checksum is None:
        return
    found = _digest(file, entry.checksum)
    if not found.startswith(entry.checksum.value):
        file.unlink()
        raise ArtifactError(
            f"{file.name} has the {entry.checksum.kind} {found}, but {entry.checksum.source.page} says "
            f"{entry.checksum.value}: the download is damaged or another file. It was deleted; call again."
        )


def _digest(file: Path, checksum: Fact) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, checksum.kind or "sha256").hexdigest()
