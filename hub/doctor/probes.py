"""Whether a package works, tried in another process, since a broken one may crash the process that imports it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 120
NO_ANSWER = "no answer"

# Each stage ends in done(name, facts): the first one missing from the output is where the process failed.
_DONE = """
import json, warnings
warnings.simplefilter("ignore")
def done(name, **facts):
    print("\\n@" + json.dumps([name, facts]), flush=True)
"""
PROBES = {
    "core": """
import numpy
done("numpy")
import PIL.Image
done("pillow")
import torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
torch.ones(2, 2) @ torch.ones(2, 2)
done("torch", cuda=torch.version.cuda, gpus=gpus, bf16=bool(gpus) and torch.cuda.is_bf16_supported())
import torchvision
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
done("torchvision")
import timm
done("timm")
import accelerate
done("accelerate")
""",
    "onnxruntime": "import onnxruntime\ndone('onnxruntime', providers=onnxruntime.get_available_providers())",
    "faiss-cpu": "import faiss\nfaiss.IndexFlatIP(2)\ndone('faiss-cpu')",
    "detectron2": """
import torch
from detectron2 import _C, engine, modeling
done("detectron2", cuda=_C.get_cuda_version() if _C.has_cuda() else None)
""",
    "faster-coco-eval": "from faster_coco_eval import COCO, COCOeval_faster\ndone('faster-coco-eval')",
}


@dataclass(frozen=True)
class Answer:
    """The facts of each package that a probe reached, and, if it failed, how."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: str | None = None


def ask(names: list[str]) -> dict[str, Answer]:
    """Run the probes of these names side by side; none takes longer than `TIMEOUT_S`."""
    processes = {name: _start(PROBES[name]) for name in names}
    return {name: _answer(process) for name, process in processes.items()}


def gpus_of_the_driver() -> str | None:
    """The first GPU that nvidia-smi lists, e.g. "NVIDIA H200, 570.86"; None without a GPU or its driver."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return listing.stdout.strip().partition("\n")[0] or None if listing.returncode == 0 else None


def _start(code: str) -> "subprocess.Popen[str]":
    # In the temporary folder and without it on the path: no file of the user's is taken for a package.
    return subprocess.Popen(
        [sys.executable, "-c", _DONE + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )


def _answer(process: "subprocess.Popen[str]") -> Answer:
    try:
        output, errors = process.communicate(timeout=TIMEOUT_S)
        failure = _failure(process.returncode, errors)
    except subprocess.TimeoutExpired:
        process.kill()
        output, failure = process.communicate()[0], f"{NO_ANSWER} in {TIMEOUT_S} s"
    facts = dict(json.loads(line[1:]) for line in output.splitlines() if line.startswith("@") and line.endswith("]"))
    return Answer(facts, failure)


def _failure(status: int, errors: str) -> str | None:
    if status == 0:
        return None
    if status < 0:
        return f"importing it crashes the process ({signal.Signals(-status).name})"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"importing it ends the process with status {status}"
