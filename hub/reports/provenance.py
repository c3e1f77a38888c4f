"""What is recorded beside a measured number: the code, the machine and the libraries that made it."""

import platform
import re
import shlex
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

from ..machine import cores, processor_name
from ..output.printing import shown

LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy", "pillow", "onnxruntime", "faiss-cpu", "detectron2")


@cache
def version() -> str:
    """The installed goodviews version, e.g. "0.1.dev12+g1a2b3c4d5"."""
    try:
        return metadata.version("goodviews")
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str | None:
    """The commit that the installed package was built from, with "-dirty" if files had changed; None if unknown."""
    match = re.search(r"\+g([0-9a-f]{7,40})(\.d\d+)?", version())
    if match is None:
        return None
    return match[1] + ("-dirty" if match[2] else "")


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


def command() -> str:
    """The command line of this process. Of absolute paths only the last part: reports are published."""
    script = Path(sys.argv[0])
    name = ["python", "-m", f"goodviews.{script.parent.name}"] if script.name == "__main__.py" else [script.name]
    return shown(shlex.join([*name, *(_shorten(word) for word in sys.argv[1:])]), keep="\n\t")


def _shorten(word: str) -> str:
    return Path(word).name if word.startswith(("/", "~")) else word
