"""Python packages: is each installed, is its version allowed, does it work, and the pip command that fixes it."""

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.version import Version

from .finding import COCO, DETECTRON2_ENGINE, EVERYTHING, INDEX, ONNX, PLOTS, Finding
from .probes import NO_ANSWER, Answer

USES = {  # what the packages outside the core are for
    "onnx": ONNX,
    "onnxscript": ONNX,
    "onnxruntime": ONNX,
    "faiss-cpu": INDEX,
    "matplotlib": PLOTS,
}
EXTRAS = {  # what the extras are for
    "onnx": ONNX,
    "retrieval": INDEX,
    "plots": PLOTS,
    "detection": COCO,
    "cluster": "goodviews embed --engine ray",
    "data": "--data hf:NAME",
    "fast": "faster decoding, faster views on a CPU",
    "log": "--tensorboard",
    "wandb": "--log wandb",
    "mlflow": "--log mlflow",
    "openvino": "OnnxEncoder on OpenVINO",
    "serve": "goodviews serve, goodviews hub serve",
    "toy": "goodviews views sweep toy",
    "docs": "building the documentation",
}
DETECTRON2 = (
    "pip install setuptools wheel ninja && "
    'pip install --no-build-isolation "git+https://github.com/facebookresearch/detectron2"'
)


def required_packages(answers: dict[str, Answer]) -> Iterator[Finding]:
    """Python, then what the installed goodviews requires; the extras `test` and `all` are left out."""
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
            yield _package(requirement, answers, USES.get(name) or _use_of_extra(requirement))


def _use_of_extra(requirement: Requirement) -> str:
    """What the extra that asks for a package is for."""
    names = re.findall(r"extra == [\"']([\w-]+)[\"']", str(requirement.marker))
    return EXTRAS.get(names[0], f"the extra {names[0]}") if names else EVERYTHING


def torchvision_for_torch() -> Iterator[Finding]:
    """Whether torchvision was built for the torch that is installed; nothing where one of them is missing."""
    torch, torchvision = installed_version("torch"), installed_version("torchvision")
    if torch is None or torchvision is None:
        return
    subject, public = "torchvision for torch", Version(torch).public  # without +cu126
    wants = [r for text in metadata.requires("torchvision") or [] if (r := Requirement(text)).name == "torch"]
    if all(requirement.specifier.contains(public, prereleases=True) for requirement in wants):
        yield Finding(subject, "fine", f"{torchvision} goes with {torch}", EVERYTHING)
        return
    required = ", ".join(str(requirement.specifier) for requirement in wants)
    fix = f'pip install --upgrade "torch=={public}" torchvision'
    yield Finding(subject, "broken", f"{torchvision} is built for torch {required}, found {torch}", EVERYTHING, fix)


def detectron2(answer: Answer | None, core: Answer) -> Iterator[Finding]:
    """Its build, and whether setuptools still has what other code on detectron2 imports."""
    if answer is None:
        compiler = "" if shutil.which("g++") else "; building it needs g++"
        found = f"not installed; torchvision runs the same tasks{compiler}"
        yield Finding("detectron2", "missing", found, DETECTRON2_ENGINE, DETECTRON2)
        return
    yield _detectron2_build(answer, has_gpu=bool(core.facts.get("torch", {}).get("gpus")))
    if find_spec("pkg_resources") is None:
        version = installed_version("setuptools") or "none"
        found = f"{version}: pkg_resources is gone, so detectron2.model_zoo cannot be imported"
        yield Finding("setuptools", "note", found, "other code on detectron2", 'pip install "setuptools<81"')


def _detectron2_build(answer: Answer, *, has_gpu: bool) -> Finding:
    version = installed_version("detectron2")
    rebuild = DETECTRON2.replace("pip install --no-build", "pip install --force-reinstall --no-deps --no-build")
    if answer.failure:
        fix = _other_fix(answer.failure) or rebuild
        return Finding("detectron2", "broken", f"{version}: {answer.failure}", DETECTRON2_ENGINE, fix)
    cuda = answer.facts["detectron2"]["cuda"]
    if has_gpu and cuda is None:
        fix = rebuild.replace("&& pip", "&& FORCE_CUDA=1 pip")
        found = f"{version} was built without CUDA, and there is a GPU"
        return Finding("detectron2", "broken", found, DETECTRON2_ENGINE, fix)
    return Finding("detectron2", "fine", f"{version}, {cuda_build(cuda)}", DETECTRON2_ENGINE)


def _package(requirement: Requirement, answers: dict[str, Answer], needed_for: str) -> Finding:
    name, version = requirement.name, installed_version(requirement.name)
    install = f'pip install "{name}{requirement.specifier}"'
    if version is None:
        return Finding(name, "missing", "not installed", needed_for, install)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(name, "broken", f"{version}, but {requirement.specifier} is needed", needed_for, install)
    failure = _failure(name, answers)
    if failure:
        reinstall = f'pip install --force-reinstall --no-cache-dir "{name}{requirement.specifier}"'
        return Finding(name, "broken", f"{version}: {failure}", needed_for, _other_fix(failure) or reinstall)
    return Finding(name, "fine", version, needed_for)


def _failure(name: str, answers: dict[str, Answer]) -> str | None:
    """How a package's probe failed; in the core's probe the first package that was not reached is to blame."""
    if name != "core" and name in answers:
        return answers[name].failure
    stages = ["numpy", "pillow", "torch", "torchvision", "timm", "accelerate"]
    unreached = [stage for stage in stages if stage not in answers["core"].facts]
    return answers["core"].failure if unreached and name == unreached[0] else None


def _other_fix(failure: str) -> str | None:
    """What helps better than installing a package again: to wait, or to install another one that it lacks."""
    if failure.startswith(NO_ANSWER):
        return "The machine is busy: run goodviews doctor again later; if it says the same then, install it anew."
    found = re.search(r"No module named '(\w+)'", failure)
    return f"pip install {found[1]}" if found else None


def cuda_build(cuda: str | None) -> str:
    """What a package is built for, given its CUDA version."""
    return f"CUDA {cuda}" if cuda else "the CPU only"


def installed_version(name: str) -> str | None:
    """From the package's metadata: nothing is imported."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
