"""How much memory each way of running an encoder takes: the peak of a fresh process that opens it and runs it once."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from ...hub.errors import GoodviewsError
from ...hub.onnx_encoder import PIXELS_FILE, Variant, file_name
from ...hub.onnx_runtimes import installed_runtimes

STATUS = Path("/proc/self/status")  # of Linux; elsewhere nothing is measured
# VmHWM and not getrusage, whose maximum a child inherits from the process that started it
_SCRIPT = """
import re, sys
import numpy as np
from pathlib import Path
runtime, source, variant, px, batch, threads = sys.argv[1:]
pixels = np.zeros((int(batch), 3, int(px), int(px)), np.float32)
if runtime == "torch":
    import torch
    from goodviews.hub import from_pretrained
    torch.set_num_threads(int(threads))
    with torch.inference_mode():
        from_pretrained(source).embed(torch.from_numpy(pixels))
else:
    from goodviews.hub import OnnxEncoder
    OnnxEncoder(source, variant=variant, runtime=runtime, threads=int(threads)).embed(pixels)
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def peak_memory(encoder: str, folder: Path, *, eager: str, px: int, batch: int, threads: int = 1) -> dict[str, float]:
    """Resident memory at its peak, in MB, by the names that `bench` gives its competitors; empty but on Linux.

    Args:
        encoder: what `from_pretrained` opens.
        folder: an export of it.
        eager: what to call PyTorch.
        batch: images in the one run.
    """
    if not STATUS.is_file():
        return {}
    asked = {eager: ("torch", encoder, "")}
    for variant in get_args(Variant):
        if (folder / file_name(PIXELS_FILE, variant)).is_file():
            asked |= {f"{name} {variant}": (key, str(folder), variant) for key, name in installed_runtimes().items()}
    return {name: _peak([*words, str(px), str(batch), str(threads)]) for name, words in asked.items()}


def _peak(words: Sequence[str]) -> float:
    ran = subprocess.run([sys.executable, "-c", _SCRIPT, *words], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        reason = (ran.stderr.strip().splitlines() or ["it was ended"])[-1]
        raise GoodviewsError(f"The memory of {words[0]} cannot be measured: {reason}")
    return float(ran.stdout)
