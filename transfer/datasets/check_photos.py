"""The check of photos with labelled objects, whatever the layout: `--check` of the detection tasks."""

from collections import Counter
from collections.abc import Iterable

from ..copies import copies_between, copies_within
from ..data_check import ClassCount, DataCheck, count_classes, count_photos, doubts_about
from .detection_data import DetectionData
from .labelled_photos import decoding_problems
from .photo_table import PhotoTable


def check_photos(data: DetectionData, problems: Iterable[str]) -> DataCheck:
    """The reader's `problems`, then photos that do not decode and copies; classes with their counts, and doubts."""
    counts = [
        f"{count_photos(len(photos), part)} with {len(photos.objects)} objects"
        for part, photos in (("training", data.train), ("test", data.test))
    ]
    train, test = data.train.paths(), data.test.paths()
    classes = count_objects(data)
    return DataCheck(
        f"{' and '.join(counts)} of {count_classes(data.classes)}",
        (*problems, *decoding_problems((*train, *test), data.train.values), *copies_between(train, test)),
        data.notes,
        classes,
        (*doubts_about(classes), *copies_within(train, "training"), *copies_within(test, "test")),
    )


def count_objects(data: DetectionData) -> tuple[ClassCount, ...]:
    """The objects of each class, crowds left out; of classes that only test photos have too."""
    train, test = _by_class(data.train), _by_class(data.test)
    names = dict.fromkeys([*data.classes, *sorted(test)])
    return tuple(ClassCount(name, train[name], test[name]) for name in names)


def _by_class(photos: PhotoTable) -> Counter[str]:
    return Counter(photos.names[label] for label in photos.labels[~photos.is_crowd].tolist())
