"""What `goodviews transfer TASK --check` tells of a data folder. Each reader has its own check, which returns this."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIKE = 0.75  # share of letters that two names have in common from which on one may be a misspelling of the other
RARE = 10  # how many times rarer than the other name such a misspelling is, at least


@dataclass(frozen=True)
class ClassCount:
    """How often a class is labelled."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class DataCheck:
    """What a folder holds, and a sentence for everything that is wrong with it, left out of it or doubtful."""

    summary: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what does not prevent training
    classes: tuple[ClassCount, ...] = ()
    doubts: tuple[str, ...] = ()  # what may be meant so, and is worth a look


def count_classes(classes: Sequence[str]) -> str:
    """In words: "3 classes"."""
    return f"{len(classes)} classes" if len(classes) > 1 else "one class" if classes else "no classes"


def count_photos(photos: int, part: str) -> str:
    """In words: "12 training photos", "no training photos"."""
    return f"{photos or 'no'} {part} photo{'' if photos == 1 else 's'}"


def doubts_about(classes: Sequence[ClassCount]) -> Iterator[str]:
    """Classes that may be misspelt, that training sees once or never, or that no test photo has."""
    for one in classes:
        if other := _likely_meant(one, classes):
            yield f"{_counted(one)} is named almost like {_counted(other)}: a misspelling?"
    for what, names in (
        ("Never labelled in training", [one.name for one in classes if one.train == 0]),
        ("Labelled once in training, too little to learn", [one.name for one in classes if one.train == 1]),
        ("Labelled in no test photo, so that no score tells of them", [one.name for one in classes if not one.test]),
    ):
        if names:
            yield f"{what}: {_listed(names)}."


def _likely_meant(one: ClassCount, classes: Sequence[ClassCount]) -> ClassCount | None:
    """The much more frequent class whose name is nearly that of `one`, or equal but for case and signs."""
    for other in classes:
        is_rarer = RARE * (one.train + one.test) <= other.train + other.test
        is_same = _plain(one.name) == _plain(other.name) and (one.train, one.name) < (other.train, other.name)
        if other != one and (is_same or (is_rarer and _alike(one.name, other.name) >= ALIKE)):
            return other
    return None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _alike(name: str, other: str) -> float:
    return SequenceMatcher(None, name.casefold(), other.casefold()).ratio()


def _counted(one: ClassCount) -> str:
    return f"{one.name!r} ({one.train} in training, {one.test} in test)"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
