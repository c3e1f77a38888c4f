"""Reports of format 1, in which the protocol was one dictionary of settings and sentences, as reports of today.

Two of them get equal protocols exactly when a run of today with the same settings does.
"""

import re
from typing import Any

FORMAT = 1
OF_ANY_TASK = ("fine_tuned", "metric")
# By how a task's name begins: what else of its protocol was a sentence.
SENTENCES = {
    "knn": ("similarity", "features", "interval"),
    "linear": ("classifier", "optimizer", "selection", "features", "interval"),
    "few-shot-": ("classifier", "features", "split", "interval"),
    "retrieval": ("similarity", "features", "split", "scoring", "interval"),
    "finetune": ("source", "batch_norm", "interval"),
    "voc07-map": ("features", "split", "difficult", "selection", "scoring"),
    "voc07-clsa": ("split", "difficult", "loss", "batch_norm", "test_crops"),
    "voc-detection": ("network", "split", "scoring", "interval", "differs_from_published"),
    "voc07+12-": ("network", "split", "scoring", "interval", "differs_from_published"),
    "coco-": ("split", "scoring", "interval", "differs_from_published"),
}


def as_today(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of today's report for those of a report of format 1.

    Raises:
        KeyError, TypeError, AttributeError: it is not such a report.
    """
    task, old = content["task"], content["protocol"]
    names = next((names for begin, names in SENTENCES.items() if task.startswith(begin)), ())
    description = {name: value for name, value in old.items() if name in (*OF_ANY_TASK, *names)}
    settings = {name: value for name, value in old.items() if name not in description}
    if "unit length as exported" in description.get("features", ""):
        settings["unit_length_features"] = True
    if "differs_from_published" in description:
        settings["processes"] = _processes(content["engine"], description["differs_from_published"])
    if task.startswith("finetune"):
        description["labelled"], settings["labelled"] = settings["labelled"], _which_labels(settings["labelled"])
    rest = {name: value for name, value in content.items() if name not in ("task", "protocol")}
    return {"protocol": {"name": task, "version": 1, "settings": settings}, "description": description, **rest}


def _processes(engine: str, differences: list[str]) -> int:
    """How many trained a detector together. On detectron2 a sentence told any number but the published 8."""
    if not engine.startswith("detectron2"):
        return 1
    grouped = re.search(r"grouped by aspect ratio in (\d+) x", " ".join(differences))
    return int(grouped[1]) if grouped else 8


def _which_labels(sentence: str) -> str:
    """Of a fine-tuning: "all", "drawn", or the digest of a list of images."""
    listed = re.fullmatch(r"the list .*, sha256 (\w+)", sentence)
    if listed:
        return listed[1]
    return "drawn" if "drawn by the seed" in sentence else sentence
