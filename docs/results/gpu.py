"""The page of what only a GPU can show, made from what benchmarks/gpu_session.py writes.

    python docs/results/gpu.py --session gpu_session.json --out docs/results/gpu

OUT/README.md   the page        OUT/session.json   the script's own file
"""

import json
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, page, table, wide_table

from goodviews.hub.files.atomic import new_folder, write_text

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_session.py"
REHEARSAL = (
    "This is a rehearsal on a CPU: **no figure of a GPU is on this page, and none has been measured yet.** The parts "
    "ran tiny, to show that they run; their speeds mean nothing and are folded away."
)
UNKNOWN = (
    " Nothing is known of GPUs from this page. The goals that wait for one: from files at least 90 % of the ceiling, "
    "at least twice lightly's rate, and 800 epochs of Imagenette in under 20 minutes."
)


def write(*, session: Path, out: Path) -> None:
    """Write the page of a session.

    Args:
        session: What benchmarks/gpu_session.py wrote.
        out: The folder to make; one that is there is replaced.
    """
    figures = json.loads(session.read_text())
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", text(figures))
        shutil.copyfile(session, folder / "session.json")


def text(figures: dict[str, Any]) -> str:
    """The text of README.md."""
    is_rehearsal, parts = figures["rehearsal"], figures["parts"]
    states = [_state(part) for part in parts.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("ran", "skipped", "failed"))
    return page(
        "What only a GPU can show",
        question="Is goodviews right on a GPU, and how fast is it there?",
        setting=(
            f"{'A rehearsal on a CPU' if is_rehearsal else 'One session'} on {figures['hardware']}: each part is a "
            "process of its own with a share of eight minutes."
        ),
        found=[
            *([REHEARSAL] if is_rehearsal else []),
            table(["part", "what it measures", "state", "seconds"], [*_rows(parts)]),
            *([] if is_rehearsal else _measured(parts)),
        ],
        answer=f"Of {len(parts)} parts {counts}." + (UNKNOWN if is_rehearsal else ""),
        evidence=[
            *([folded("Figures of the rehearsal, which mean nothing", *_measured(parts))] if is_rehearsal else []),
            folded(
                "Command, commit and libraries",
                f"`python benchmarks/gpu_session.py{' --rehearse' if is_rehearsal else ''}`, commit "
                f"{figures['commit']}; {_libraries(figures['libraries'])}.",
            ),
            "Made by `docs/results/gpu.py` from session.json; no figure is typed by hand.",
        ],
    )


def _rows(parts: dict[str, Any]) -> Iterator[list[str]]:
    known = runpy.run_path(str(SCRIPT))["PARTS"]
    for name, part in parts.items():
        reason = part.get("skipped") or part.get("failed")
        state = _state(part) + (f": {reason}" if reason else "")
        meaning = (known[name].measure.__doc__ or "").split("\n")[0] if name in known else ""
        yield [name, meaning, state, f"{part.get('seconds', 0):.1f}"]


def _state(part: dict[str, Any]) -> str:
    return next((state for state in ("skipped", "failed") if state in part), "ran")


def _measured(parts: dict[str, Any]) -> list[str]:
    """The figures of all parts, one a line; a part that failed may have some."""
    rows = [[name, *line] for name, part in parts.items() if _state(part) != "skipped" for line in _lines(part)]
    return [wide_table(["part", "of what", "figure"], rows)]


def _lines(value: Any, path: str = "") -> Iterator[list[str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if path or name not in ("seconds", "failed"):
                yield from _lines(inner, f"{path} {name}".strip())
    else:
        yield [path, f"{value:.4g}" if isinstance(value, float) else str(value)]


def _libraries(libraries: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in dict(libraries).items())


if __name__ == "__main__":
    cyclopts.run(write)
