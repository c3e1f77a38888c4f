"""Does a package work? Asked in another process, since a broken one may take the process that imports it with it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 120

# Each stage ends in say(name, facts): what is missing from the answers is where the process failed.
_SAY = """
import json, warnings
warnings.simplefilter("ignore")
def say(name, **facts):
    print("\\n@" + json.dumps([name, facts]), flush=True)
"""
PROBES = {
    "core": """
import numpy
say("numpy")
import PIL.Image
say("pillow")
import torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
torch.ones(2, 2) @ torch.ones(2, 2)
say("torch", cuda=torch.version.cuda, gpus=gpus, bf16=bool(gpus) and torch.cuda.is_bf16_supported())
import torchvision
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
say("torchvision")
import timm
say("timm")
import accelerate
say("accelerate")
""",
    "onnxruntime": "import onnxruntime\nsay('onnxruntime', providers=onnxruntime.get_available_providers())",
    "faiss-cpu": "import faiss\nfaiss.IndexFlatIP(2)\nsay('faiss-cpu')",
    "detectron2": """
import torch
from detectron2 import _C, engine, modeling
say("detectron2", cuda=_C.get_cuda_version() if _C.has_cuda() else None)
""",
    "faster-coco-eval": "from faster_coco_eval import COCO, COCOeval_faster\nsay('faster-coco-eval')",
}


@dataclass(frozen=True)
class Answer:
    """What a probe said of each package that it reached, and, if it failed, how."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: str | None = None


def ask(names: list[str]) -> dict[str, Answer]:
    """Runs the probes of these names side by side; none outlasts `TIMEOUT_S`."""
    asked = {name: _start(PROBES[name]) for name in names}
    return {name: _answer(process) for name, process in asked.items()}


def gpus_of_the_driver() -> str | None:
    """What nvidia-smi lists, e.g. "NVIDIA H200, 570.86"; None without a GPU or its driver."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return listed.stdout.strip().partition("\n")[0] or None if listed.returncode == 0 else None


def _start(code: str) -> "subprocess.Popen[str]":
    # From an empty folder, so that no file of the user's there is taken for a package.
    return subprocess.Popen(
        [sys.executable, "-c", _SAY + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )


def _answer(process: "subprocess.Popen[str]") -> Answer:
    try:
        said, complaint = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Answer({}, f"no answer in {TIMEOUT_S} s")
    facts = dict(json.loads(line[1:]) for line in said.splitlines() if line.startswith("@"))
    return Answer(facts, _failure(process.returncode, complaint))


def _failure(status: int, complaint: str) -> str | None:
    if status == 0:
        return None
    if status < 0:
        return f"importing it crashes the process ({signal.Signals(-status).name})"
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"importing it ends the process with status {status}"
