"""Lists that name images, a line each: .txt, .tsv or .csv, with labels or without."""

import csv
from pathlib import Path

from ..errors import DataError
from ..files.text_files import is_text, read_text
from ..images import has_image_suffix
from ..output.printing import shown
from .files import Files, number_labels
from .packed_names import Names

LIST_SUFFIXES = {".txt", ".tsv", ".csv"}
HEADERS = {"path", "file", "filename", "image"}


def open_list(path: Path) -> Files:
    """The images that a list names, a line each, with or without a label.

    A .csv has the columns path and label, a header or none; a line of a .txt or .tsv is a path, then, after a tab or a
    blank, the label. Paths are relative to the list's folder.

    Raises:
        DataError: a line is no path, only some have labels, or the first file does not exist.
    """
    lines = _csv_lines(path) if path.suffix.lower() == ".csv" else _text_lines(path)
    if not lines:
        raise DataError(f"{path} names no image; write a path a line, with a label after it if there is one.")
    unlabelled = next((number for number, _, label in lines if label is None), None)
    labelled = next((number for number, _, label in lines if label is not None), None)
    if unlabelled is not None and labelled is not None:
        raise DataError(f"{path} has a label in line {labelled}, but none in line {unlabelled}; label all or none.")
    number, first, _ = lines[0]
    if not is_text(first) and not (path.parent / first).is_file():
        raise DataError(f"{path} is not a list of paths in UTF-8; save it as such.")
    if not (path.parent / first).is_file():
        raise DataError(f"{path}, line {number}: {path.parent / first} is no file; paths start at the list's folder.")
    names = Names.of(name for _, name, _ in lines)
    if labelled is None:
        return Files(shown(path.name), path.parent, names, None, ())
    labels = [str(label) for _, _, label in lines]
    by_number = all(label.isdecimal() for label in labels)
    return Files(
        shown(path.name), path.parent, names, *number_labels(labels, sorted(set(labels), key=int if by_number else str))
    )


def _csv_lines(path: Path) -> list[tuple[int, str, str | None]]:
    lines: list[tuple[int, str, str | None]] = []
    reader = csv.reader(read_text(path).splitlines())
    for row in reader:
        if not row or (not lines and row[0].strip().lower() in HEADERS):
            continue
        if len(row) > 2 or not has_image_suffix(Path(row[0]).name):
            raise DataError(
                f"{path}, line {reader.line_num}: {','.join(row)[:80]} is not a path, or a path and a label."
            )
        lines.append((reader.line_num, row[0], row[1] if len(row) == 2 else None))
    return lines


def _text_lines(path: Path) -> list[tuple[int, str, str | None]]:
    lines: list[tuple[int, str, str | None]] = []
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        line = text.strip()
        if not line:
            continue
        name, _, label = (line, "", None) if has_image_suffix(Path(line).name) else _last_split(line)
        if not has_image_suffix(Path(name).name):
            raise DataError(f"{path}, line {number}: {line[:80]} is not the path of an image, or a path and a label.")
        lines.append((number, name, label))
    return lines


def _last_split(line: str) -> tuple[str, str, str | None]:
    return line.rpartition("\t") if "\t" in line else line.rpartition(" ")
