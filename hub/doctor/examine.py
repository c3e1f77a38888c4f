"""What is installed, whether it works, what it is needed for, and how to fix what is missing or broken.

Nothing is imported here: versions come from the packages' metadata, and whether a package works is tried in another
process (see `probes`).
"""

from collections.abc import Iterable

from .finding import COCO, DETECTRON2_ENGINE, EVERYTHING, INDEX, ONNX, PLOTS, Finding
from .hardware import disk_space, gpu, processor, shared_memory
from .packages import detectron2, installed_version, required_packages, torchvision_for_torch
from .probes import PROBES, ask

TASKS = {  # groups of tasks, and what the findings must be fine for
    "pretraining, classification, VOC detection": EVERYTHING,
    "COCO detection and masks": COCO,
    "detection on the published engine, detectron2": DETECTRON2_ENGINE,
    "export to ONNX, encoders without torch": ONNX,
    "image index and search": INDEX,
    "plots and pages of comparisons": PLOTS,
}


def examine() -> list[Finding]:
    """All findings, the core first. Takes as long as importing torch and timm once."""
    answers = ask([name for name in PROBES if name == "core" or installed_version(name)])
    return [
        *required_packages(answers),
        *torchvision_for_torch(),
        gpu(answers["core"]),
        processor(),
        *detectron2(answers.get("detectron2"), answers["core"]),
        *disk_space(),
        *shared_memory(),
    ]


def what_tasks_lack(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """For each group of tasks the subjects that keep it from running; an empty list where it can run."""
    lacking = [finding for finding in findings if finding.is_lacking]
    core = [finding.subject for finding in lacking if finding.breaks_the_core]
    short = ["what everything needs"] if core else []
    return {
        tasks: core if use == EVERYTHING else short + [found.subject for found in lacking if found.needed_for == use]
        for tasks, use in TASKS.items()
    }


def fixes(findings: Iterable[Finding]) -> dict[str, str]:
    """A command for each subject that has one; packages that are only missing share one pip command."""
    commands: dict[str, str] = {}
    missing: dict[str, str] = {}  # what pip shall install for each subject
    for finding in findings:
        if finding.fix and finding.state == "missing" and "&&" not in finding.fix:
            missing[finding.subject] = finding.fix.removeprefix("pip install ")
        elif finding.fix:
            commands[finding.subject] = finding.fix
    if not missing:
        return commands
    return {", ".join(missing): f"pip install {' '.join(missing.values())}", **commands}
