"""The check of photos with labelled objects, whatever the layout: `--check` of the detection tasks."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..copies import copies_between, copies_within
from ..data_check import ClassCount, DataCheck, count_classes, count_photos, doubts_about
from .labelled_photos import DetectionData, LabelledPhoto, decoding_problems


def check_photos(data: DetectionData, problems: Iterable[str]) -> DataCheck:
    """The reader's `problems`, then photos that do not decode and copies; classes with their counts, and doubts."""
    counts = [
        f"{count_photos(len(photos), part)} with {sum(len(photo.objects) for photo in photos)} objects"
        for part, photos in (("training", data.train), ("test", data.test))
    ]
    train, test = ([photo.path for photo in photos] for photos in (data.train, data.test))
    classes = count_objects(data)
    return DataCheck(
        f"{' and '.join(counts)} of {count_classes(data.classes)}",
        (*problems, *decoding_problems((*data.train, *data.test)), *copies_between(train, test)),
        data.notes,
        classes,
        (*doubts_about(classes), *copies_within(train, "training"), *copies_within(test, "test")),
    )


def count_objects(data: DetectionData) -> tuple[ClassCount, ...]:
    """The objects of each class, crowds left out; of classes that only test photos have too."""
    train, test = _by_class(data.train), _by_class(data.test)
    names = dict.fromkeys([*data.classes, *sorted(test)])
    return tuple(ClassCount(name, train[name], test[name]) for name in names)


def _by_class(photos: Sequence[LabelledPhoto]) -> Counter[str]:
    return Counter(thing.name for photo in photos for thing in photo.objects if not thing.is_crowd)
