"""What is recorded beside a measured number: the code, the machine and the libraries that made it."""

import os
import platform
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

from ..machine import cores, processor_name
from ..output.printing import shown

SOURCE = Path(__file__).resolve().parents[2]  # the checkout, where the package is not installed from a wheel
LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy", "pillow", "onnxruntime", "faiss-cpu", "detectron2")


@cache
def version() -> str:
    """The installed goodviews version, e.g. "0.1.dev12+g1a2b3c4d5"."""
    try:
        return metadata.version("goodviews")
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def commit() -> str | None:
    """The commit of the code that runs, with "-dirty" if files had changed; None if unknown.

    An editable installation keeps the version of the day it was made; there git is asked instead.
    """
    if (SOURCE / ".git").exists():
        with suppress(OSError, subprocess.CalledProcessError):
            return _of_checkout()
    match = re.search(r"\+g([0-9a-f]{7,40})(\.d\d+)?", version())
    if match is None:
        return None
    return match[1] + ("-dirty" if match[2] else "")


def _of_checkout() -> str:
    def git(*words: str) -> str:
        run = ["git", "-C", str(SOURCE), *words]
        return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short=9", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")


@cache
def libraries() -> dict[str, str]:
    """Installed versions of Python and of the libraries that can change a number."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def hardware() -> str:
    """The GPUs, or else the processor, e.g. "2 x Intel(R) Xeon(R) Platinum 8488C" or "1 x NVIDIA H100"."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        name = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
        has_tf32 = torch.cuda.get_device_capability(0) >= (8, 0)
        return f"{name}, convolutions in TF32" if has_tf32 and torch.backends.cudnn.allow_tf32 else name
    return f"{cores()} x {processor_name()}"


def command(*, has_paths: bool = False) -> str:
    """The command line of this process, or of torchrun or accelerate where that started it.

    Of absolute paths only the last part, since reports are published; with `has_paths` they stay whole. A token never.
    """
    script = Path(sys.argv[0])
    name = ["python", "-m", f"goodviews.{script.parent.name}"] if script.name == "__main__.py" else [script.name]
    launcher = _launcher()
    words = _without_token(launcher or [*name, *sys.argv[1:]])
    words = words if has_paths else [words[0], *(_shorten(word) for word in words[1:])]
    return shown(shlex.join(words), keep="\n\t")


def _launcher() -> list[str]:
    """The words that started this process as one of several, with what it was to run; none where it was started alone.

    Torchrun and accelerate run in the process above this one.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return []
    import psutil

    try:
        interpreter, *words = psutil.Process(os.getppid()).cmdline()
    except (psutil.Error, ValueError):
        processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
        return ["torchrun", "--nproc-per-node", processes, *sys.argv]
    if not Path(interpreter).name.startswith("python"):
        return [Path(interpreter).name, *words]
    return ["python", *words] if words[:1] == ["-m"] else [Path(words[0]).name, *words[1:]]


def _without_token(words: list[str]) -> list[str]:
    hidden = ["..." if before == "--token" else word for before, word in zip(["", *words], words)]
    return [re.sub(r"^--token=.*", "--token=...", word) for word in hidden]


def _shorten(word: str) -> str:
    """Without the folders of an absolute path, also behind an option's "="."""
    option, is_given, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return option + is_given + (Path(value).name if value.startswith(("/", "~")) else value)
