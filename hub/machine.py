"""What this machine offers a run: cores, free memory, the processor and its bf16 instructions.

Limits of a container or a batch job count: they are the control groups of Linux, of version 2 or 1.
"""

import math
import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_CPUINFO, _OWN_GROUPS, _GROUPS = Path("/proc/cpuinfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_BF16 = {"amx_bf16", "avx512_bf16"}  # the flags of x86 processors that multiply bf16 in hardware
PRETEND = "GOODVIEWS_BF16"  # "1" or "0": what the hardware is taken for, so that the tests can meet both kinds anywhere


def cores() -> int:
    """Processor cores that this process may use, 1 or more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([usable, *_core_limits()]))


def free_memory_bytes() -> int:
    """Memory that this process can still take without pushing anything out, in bytes."""
    import psutil  # here, since the front door asks this file for less and answers fast

    return max(0, min([int(psutil.virtual_memory().available), *_memory_limits()]))


@cache
def processor_name() -> str:
    """The processor's model, e.g. "Intel(R) Xeon(R) Platinum 8488C"."""
    lines = _CPUINFO.read_text("utf-8").splitlines() if _CPUINFO.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def processor_flags() -> frozenset[str]:
    """The instruction sets of an x86 processor on Linux, e.g. "avx2"; empty where they are unknown."""
    lines = _CPUINFO.read_text("utf-8").splitlines() if _CPUINFO.is_file() else []
    flags = [line.split(":", 1)[1].split() for line in lines if line.startswith("flags")]
    return frozenset(flags[0]) if flags else frozenset()


def bf16_instructions() -> list[str]:
    """The instructions with which the processor multiplies bf16, sorted; none where it would be emulated."""
    return sorted(processor_flags() & _BF16)


def multiplies_bf16(device: str) -> bool:
    """Whether the hardware of "cpu" or "cuda" multiplies bf16."""
    if PRETEND in os.environ:
        return os.environ[PRETEND] == "1"
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(bf16_instructions())


def _core_limits() -> Iterator[int]:
    for folder in _groups("cpu"):
        quota = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(quota) == 2 and quota[0].isdecimal():  # "max", or -1, is no limit
            yield math.ceil(int(quota[0]) / int(quota[1]))


def _memory_limits() -> Iterator[int]:
    """What each group leaves; files it has cached are given up when memory is needed, so they count as free."""
    for folder in _groups("memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            numbers = [*_words(folder / limit), *_words(folder / used)]
            if len(numbers) == 2 and numbers[0].isdecimal():
                cached = _words(folder / "memory.stat", after="inactive_file")
                yield int(numbers[0]) - int(numbers[1]) + int(cached[0] if cached else 0)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups, the innermost first."""
    for line in _OWN_GROUPS.read_text("utf-8").splitlines() if _OWN_GROUPS.is_file() else []:
        _, controllers, inside = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _GROUPS / controller if controllers else _GROUPS
        folder = root / inside.lstrip("/")
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(root))


def _words(file: Path, after: str | None = None) -> list[str]:
    """The words of a small file, or of its line that begins with `after`; none where there is no such file or line."""
    try:
        text = file.read_text("utf-8")
    except OSError:
        return []
    if after is None:
        return text.split()
    return next((line.split()[1:] for line in text.splitlines() if line.startswith(f"{after} ")), [])
