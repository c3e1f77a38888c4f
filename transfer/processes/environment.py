"""What torchrun says in the environment of each process that it starts. Imports no torch."""

import os

from ...hub.errors import UsageError


def is_used() -> bool:
    """Whether torchrun started several processes, of which this is one."""
    return started() > 1


def started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int | None:
    """How many of them are on this machine; None without torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", started())) if is_used() else None


def is_first() -> bool:
    """Whether this process is the one that does the command."""
    return not is_used() or os.environ.get("RANK", "0") == "0"


def processes_of_run(wanted: int | None) -> int:
    """How many processes a run has, of those that --processes wants and torchrun started.

    Raises:
        UsageError: the two differ.
    """
    if is_used() and wanted not in (None, started()):
        raise UsageError(f"torchrun started {started()} processes and --processes is {wanted}; leave out --processes.")
    return started() if is_used() else wanted or 1


def require_one_machine() -> None:
    """Raises UsageError where torchrun started processes on several machines."""
    if is_used() and processes_here() != started():
        raise UsageError(
            f"Detectors train on one machine, and torchrun started {processes_here()} of {started()} processes on "
            "this one; start them with --nnodes 1."
        )
