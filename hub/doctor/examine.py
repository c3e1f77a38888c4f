"""What is installed, whether it works, what it is needed for, and the command that mends each lack.

Nothing is imported here: versions come from the packages' metadata, and whether a package works is asked in another
process (`doctor_probes.py`).
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

from ..machine import bf16_instructions, cores, processor_flags
from .probes import PROBES, Answer, ask, gpus_of_the_driver

State = Literal["fine", "note", "missing", "broken"]
EVERYTHING = "everything"
COCO, DETECTRON2_ENGINE, SPEED = "COCO detection", "the detectron2 engine", "speed"
USES = {  # what the packages outside the core are for
    "onnx": "ONNX export",
    "onnxscript": "ONNX export",
    "onnxruntime": "ONNX export",
    "faiss-cpu": "index and search",
    "matplotlib": "plots",
    "faster-coco-eval": COCO,
}
TASKS = {  # groups of tasks, and for what the findings must be fine
    "pretraining, classification, VOC detection": EVERYTHING,
    "COCO detection and masks": COCO,
    "detection on the published engine, detectron2": DETECTRON2_ENGINE,
    "export to ONNX, encoders without torch": "ONNX export",
    "image index and search": "index and search",
    "plots and pages of comparisons": "plots",
}
PLAIN = "pip install "
DETECTRON2 = (
    "pip install setuptools wheel ninja && "
    'pip install --no-build-isolation "git+https://github.com/facebookresearch/detectron2"'
)
LITTLE_DISK_GB, LITTLE_SHARED_MB = 5, 512


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `mend` is a command, or a sentence where no command can help."""

    subject: str
    state: State
    found: str
    needed_for: str
    mend: str | None = None

    @property
    def breaks_the_core(self) -> bool:
        return self.needed_for == EVERYTHING and self.state in {"missing", "broken"}


def examine() -> list[Finding]:
    """Everything that was looked at, the core first. Takes as long as importing torch and timm once."""
    installed = [name for name in PROBES if name == "core" or _version(name)]
    answers = ask(installed)
    return [
        *_requirements(answers),
        *_torchvision_fits_torch(),
        _gpu(answers["core"]),
        _processor(),
        *_detectron2(answers.get("detectron2"), answers["core"]),
        *_room(),
    ]


def not_ready(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """For each group of tasks what it lacks; an empty list where it can run."""
    lacks = [finding for finding in findings if finding.state in {"missing", "broken"}]
    core = [finding.subject for finding in lacks if finding.needed_for == EVERYTHING]
    short = ["what everything needs"] if core else []
    return {
        tasks: core if use == EVERYTHING else short + [found.subject for found in lacks if found.needed_for == use]
        for tasks, use in TASKS.items()
    }


def ways_to_mend(findings: Iterable[Finding]) -> dict[str, str]:
    """A command by what it mends; packages that are only missing share one."""
    ways: dict[str, str] = {}
    missing: list[Finding] = []
    for finding in findings:
        if finding.mend and finding.state == "missing" and "&&" not in finding.mend:
            missing.append(finding)
        elif finding.mend:
            ways[finding.subject] = finding.mend
    if not missing:
        return ways
    command = PLAIN + " ".join(str(finding.mend).removeprefix(PLAIN) for finding in missing)
    return {", ".join(finding.subject for finding in missing): command, **ways}


def _requirements(answers: dict[str, Answer]) -> Iterable[Finding]:
    """Python, then what the installed goodviews asks for; the extras `test` and `all` are nobody's need."""
    yield Finding("python", "fine", f"{platform.python_version()} in {sys.prefix}", EVERYTHING)
    core: dict[str, Requirement] = {}
    optional: dict[str, Requirement] = {}
    for text in metadata.requires("goodviews") or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            core[requirement.name] = requirement
        elif 'extra == "test"' not in str(requirement.marker) and requirement.name != "goodviews":
            optional[requirement.name] = requirement
    for name, requirement in core.items():
        yield _package(requirement, answers, USES.get(name, EVERYTHING))
    for name, requirement in optional.items():
        if name not in core:
            yield _package(requirement, answers, USES.get(name, str(requirement.marker)))


def _package(requirement: Requirement, answers: dict[str, Answer], needed_for: str) -> Finding:
    name, version = requirement.name, _version(requirement.name)
    install = f'pip install "{name}{requirement.specifier}"'
    if version is None:
        return Finding(name, "missing", "not installed", needed_for, install)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(name, "broken", f"{version}, but {requirement.specifier} is needed", needed_for, install)
    failure = _failure(name, answers)
    if failure:
        mend = f'pip install --force-reinstall --no-cache-dir "{name}{requirement.specifier}"'
        return Finding(name, "broken", f"{version}: {failure}", needed_for, _install_missing(failure) or mend)
    return Finding(name, "fine", version, needed_for)


def _failure(name: str, answers: dict[str, Answer]) -> str | None:
    """How a package's probe failed; of the core's stages the first that was not reached is to blame."""
    if name != "core" and name in answers:
        return answers[name].failure
    stages = ["numpy", "pillow", "torch", "torchvision", "timm", "accelerate"]
    unreached = [stage for stage in stages if stage not in answers["core"].facts]
    return answers["core"].failure if unreached and name == unreached[0] else None


def _install_missing(failure: str) -> str | None:
    """The command when a package only lacks another."""
    found = re.search(r"No module named '(\w+)'", failure)
    return f"pip install {found[1]}" if found else None


def _torchvision_fits_torch() -> Iterable[Finding]:
    torch, torchvision = _version("torch"), _version("torchvision")
    if torch is None or torchvision is None:
        return
    subject, public = "torchvision for torch", Version(torch).public  # without +cu126
    wants = [r for text in metadata.requires("torchvision") or [] if (r := Requirement(text)).name == "torch"]
    if all(requirement.specifier.contains(public, prereleases=True) for requirement in wants):
        yield Finding(subject, "fine", f"{torchvision} goes with {torch}", EVERYTHING)
        return
    asked = ", ".join(str(requirement.specifier) for requirement in wants)
    mend = f'pip install --upgrade "torch=={public}" torchvision'
    yield Finding(subject, "broken", f"{torchvision} is built for torch {asked}, found {torch}", EVERYTHING, mend)


def _gpu(core: Answer) -> Finding:
    use = SPEED
    if "torch" not in core.facts:
        return Finding("GPU", "note", "unknown while torch does not work", use)
    facts, driver = core.facts["torch"], gpus_of_the_driver()
    if facts["gpus"]:
        bf16 = "bf16" if facts["bf16"] else "no bf16"
        return Finding("GPU", "fine", f"{', '.join(facts['gpus'])}; CUDA {facts['cuda']}, {bf16}", use)
    if driver is None:
        return Finding("GPU", "fine", f"none; torch is built for {_build(facts['cuda'])}", use)
    if facts["cuda"] is None:
        mend = "pip install --force-reinstall torch torchvision"
        return Finding("GPU", "broken", f"{driver} is there, but torch is built without CUDA", use, mend)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in {"", "-1"}:
        return Finding("GPU", "note", f"{driver} is hidden by CUDA_VISIBLE_DEVICES", use, "unset CUDA_VISIBLE_DEVICES")
    mend = f"Update the NVIDIA driver to one that serves CUDA {facts['cuda']}."
    return Finding("GPU", "broken", f"{driver} is there, but torch cannot use it", use, mend)


def _build(cuda: str | None) -> str:
    return f"CUDA {cuda}" if cuda else "the CPU only"


def _processor() -> Finding:
    flags, bf16 = processor_flags(), bf16_instructions()
    if not flags:
        return Finding("processor", "fine", f"{cores()} cores, {platform.machine()}", SPEED)
    arithmetic = f"bf16 in hardware ({', '.join(bf16)})" if bf16 else "bf16 only emulated, so fp32 is used"
    vectors = next((name for name in ("avx512f", "avx2") if name in flags), None)
    state: State = "fine" if vectors else "note"
    return Finding("processor", state, f"{cores()} cores, {vectors or 'no AVX2: slow'}; {arithmetic}", SPEED)


def _detectron2(answer: Answer | None, core: Answer) -> Iterable[Finding]:
    use = DETECTRON2_ENGINE
    if answer is None:
        compiler = "" if shutil.which("g++") else "; building it needs g++"
        found = f"not installed; torchvision runs the same tasks{compiler}"
        yield Finding("detectron2", "missing", found, use, DETECTRON2)
        return
    rebuild = DETECTRON2.replace("pip install --no-build", "pip install --force-reinstall --no-deps --no-build")
    has_gpu = bool(core.facts.get("torch", {}).get("gpus"))
    version = _version("detectron2")
    if answer.failure:
        mend = _install_missing(answer.failure) or rebuild
        yield Finding("detectron2", "broken", f"{version}: {answer.failure}", use, mend)
    elif has_gpu and answer.facts["detectron2"]["cuda"] is None:
        mend = rebuild.replace("&& pip", "&& FORCE_CUDA=1 pip")
        yield Finding("detectron2", "broken", f"{version} was built without CUDA, and there is a GPU", use, mend)
    else:
        yield Finding("detectron2", "fine", f"{version}, {_build(answer.facts['detectron2']['cuda'])}", use)
    if find_spec("pkg_resources") is None:
        found = f"{_version('setuptools') or 'none'}: pkg_resources is gone, so detectron2.model_zoo cannot be imported"
        mend = 'pip install "setuptools<81"'
        yield Finding("setuptools", "note", found, "other code on detectron2", mend)


def _room() -> Iterable[Finding]:
    """Free space where runs, temporary files and downloads go, each file system once; then shared memory."""
    hub = os.environ.get("HF_HOME") or Path.home() / ".cache"
    seen = set()
    for what, place in (("here", Path.cwd()), ("temporary", Path(tempfile.gettempdir())), ("downloads", Path(hub))):
        existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        if existing.stat().st_dev in seen:
            continue
        seen.add(existing.stat().st_dev)
        free = shutil.disk_usage(existing).free / 1e9
        state: State = "fine" if free >= LITTLE_DISK_GB else "note"
        mend = None if state == "fine" else f"Free some space: du -xh -d 2 {existing} | sort -h | tail"
        yield Finding(f"disk ({what})", state, f"{free:.0f} GB free at {existing}", "runs and caches", mend)
    shared = Path("/dev/shm")
    if shared.is_dir() and (megabytes := shutil.disk_usage(shared).total / 1e6) < LITTLE_SHARED_MB:
        mend = "docker run --shm-size=8g ... (or --workers 0)"
        yield Finding("shared memory", "note", f"{megabytes:.0f} MB, loader workers need more", "--workers", mend)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
