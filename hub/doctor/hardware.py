"""The machine: its GPU, its processor, free disk space and shared memory."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..machine import bf16_instructions, cores, processor_flags
from .finding import SPEED, Finding, State
from .packages import cuda_build
from .probes import Answer, gpus_of_the_driver

LITTLE_DISK_GB, LITTLE_SHARED_MB = 5, 512


def gpu(core: Answer) -> Finding:
    """What torch sees of a GPU, beside what the driver sees."""
    if "torch" not in core.facts:
        return Finding("GPU", "note", "unknown while torch does not work", SPEED)
    torch, driver = core.facts["torch"], gpus_of_the_driver()
    if torch["gpus"]:
        bf16 = "bf16" if torch["bf16"] else "no bf16"
        return Finding("GPU", "fine", f"{', '.join(torch['gpus'])}; CUDA {torch['cuda']}, {bf16}", SPEED)
    if driver is None:
        return Finding("GPU", "fine", f"none; torch is built for {cuda_build(torch['cuda'])}", SPEED)
    if torch["cuda"] is None:
        fix = "pip install --force-reinstall torch torchvision"
        return Finding("GPU", "broken", f"{driver} is there, but torch is built without CUDA", SPEED, fix)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in {"", "-1"}:
        fix = "unset CUDA_VISIBLE_DEVICES"
        return Finding("GPU", "note", f"{driver} is hidden by CUDA_VISIBLE_DEVICES", SPEED, fix)
    fix = f"Update the NVIDIA driver to one that supports CUDA {torch['cuda']}."
    return Finding("GPU", "broken", f"{driver} is there, but torch cannot use it", SPEED, fix)


def processor() -> Finding:
    """Its cores, its vector instructions, and whether it multiplies bf16."""
    flags, bf16 = processor_flags(), bf16_instructions()
    if not flags:
        return Finding("processor", "fine", f"{cores()} cores, {platform.machine()}", SPEED)
    arithmetic = f"bf16 in hardware ({', '.join(bf16)})" if bf16 else "bf16 only emulated, so fp32 is used"
    vectors = next((name for name in ("avx512f", "avx2") if name in flags), None)
    state: State = "fine" if vectors else "note"
    return Finding("processor", state, f"{cores()} cores, {vectors or 'no AVX2: slow'}; {arithmetic}", SPEED)


def disk_space() -> Iterator[Finding]:
    """Free space where runs, temporary files and downloads go, each file system once."""
    downloads = Path(os.environ.get("HF_HOME") or Path.home() / ".cache")
    places = {"here": Path.cwd(), "temporary": Path(tempfile.gettempdir()), "downloads": downloads}
    devices = set()
    for what, place in places.items():
        existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        if existing.stat().st_dev in devices:
            continue
        devices.add(existing.stat().st_dev)
        free_gb = shutil.disk_usage(existing).free / 1e9
        state: State = "fine" if free_gb >= LITTLE_DISK_GB else "note"
        fix = None if state == "fine" else f"Free some space: du -xh -d 2 {existing} | sort -h | tail"
        yield Finding(f"disk ({what})", state, f"{free_gb:.0f} GB free at {existing}", "runs and caches", fix)


def shared_memory() -> Iterator[Finding]:
    """Only where there is little, as in a container: loader workers put their images there."""
    place = Path("/dev/shm")
    if place.is_dir() and (megabytes := shutil.disk_usage(place).total / 1e6) < LITTLE_SHARED_MB:
        fix = "docker run --shm-size=8g ... (or --workers 0)"
        need = f"{_need(cores())} of photos of 224 px at a batch of 256"
        yield Finding("shared memory", "note", f"{megabytes:.0f} MB; loader workers need {need}", "--workers", fix)


def _need(workers: int) -> str:
    """A batch, and 32 images for each worker, at least; an image has the three crops of `infomin_200`."""
    return f"{(256 + 32 * workers) * 3 * (2 * 224**2 + 255**2) / 1e9:.1f} GB"
