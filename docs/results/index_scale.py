"""The page of indexes of a million vectors, made from what index_scale.py and index_kills.py in benchmarks write.

    python docs/results/index_scale.py 2048.json 128.json --kills kills.json --out docs/results/index-scale

OUT/README.md   the tables, and who says so        OUT/*.json   the scripts' own files
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, page, table, wide_table

from goodviews.hub.files.atomic import new_folder, write_text

BUILT = ("vectors", "dimensions", "kind of index", "built in, s", "most memory, GB", "on disk, GB")
FOUND = ("dimensions", "recall@10", "searches/s, one by one", "times numpy", "searches/s, 200 at once", "times numpy")


def write(files: list[Path], /, *, kills: Path, out: Path) -> None:
    """Write the page of large indexes.

    Args:
        files: What benchmarks/index_scale.py wrote, the larger dimension first.
        kills: What benchmarks/index_kills.py wrote.
        out: The folder to make; one that is there is replaced.
    """
    found = [json.loads(file.read_text()) for file in files]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", text(found, json.loads(kills.read_text())))
        for number, figures in zip(files, found):
            shutil.copyfile(number, folder / f"{figures['dimension']}.json")
        shutil.copyfile(kills, folder / "kills.json")


def text(found: Sequence[dict[str, Any]], kills: dict[str, Any]) -> str:
    """The text of README.md."""
    return page(
        "An index of a million vectors",
        question=(
            "How much memory does it take to index a million vectors, how fast and how right are searches in it, and "
            "is anything lost when its process is killed?"
        ),
        setting=(
            "Made-up unit vectors of clusters, from a mapped file; the index that `goodviews index build` chooses by "
            "itself; searches for vectors that are not in it, beside numpy's comparison with all vectors, on one "
            "thread each, in turns of one run, the best of each."
        ),
        found=[table(BUILT, [_built(one) for one in found]), table(FOUND, [_speeds(one) for one in found])],
        answer=_answer(found, kills),
        evidence=[
            folded("Files, commands and hardware", *(_evidence(one) for one in found), _evidence_of_kills(kills)),
            "Made by `docs/results/index_scale.py` from the files beside this page; no figure is typed by hand.",
        ],
    )


def _answer(found: Sequence[dict[str, Any]], kills: dict[str, Any]) -> str:
    memory = max(one["peak_mb"] for one in found) / 1000
    alone = min(one["ratio_to_numpy_alone"] for one in found)
    at_once = min(one["ratio_to_numpy"] for one in found)
    recall = min(one["recall_at_10"] for one in found)
    number = sum(kills["kills"].values())
    return (
        f"Building took at most {memory:.1f} GB, mapped files included. Of the ten nearest, searches find at least "
        f"{100 * recall:.2f} %. One after the other, as a person searches, they are at least {alone:.0f} times as fast "
        f"as comparing with all vectors; 200 at once, where numpy reads the vectors once for all, at least "
        f"{at_once:.0f} times; there the mapped files of both did not fit in the memory that other work left. Of "
        f"{number} processes that were killed while they embedded, built, added and refreshed, "
        f"{len(kills['lost'])} lost photos and {len(kills['litter'])} left files behind. Vectors of real photos "
        "may be harder to tell apart: each index measures its own recall, and `goodviews index info` shows it."
    )


def _built(one: dict[str, Any]) -> list[str]:
    return [
        f"{one['count']:,}",
        str(one["dimension"]),
        one["search"].partition(":")[0],
        f"{one['build_s']:.0f}",
        f"{one['peak_mb'] / 1000:.1f}",
        f"{sum(one['files'].values()) / 1e9:.1f}",
    ]


def _speeds(one: dict[str, Any]) -> list[str]:
    rates = one["queries_a_second"]
    return [
        str(one["dimension"]),
        f"{one['recall_at_10']:.4f}",
        f"{rates['ours_alone']:,.0f}",
        f"{one['ratio_to_numpy_alone']:.0f}",
        f"{rates['ours']:,.0f}",
        f"{one['ratio_to_numpy']:.0f}",
    ]


def _evidence(one: dict[str, Any]) -> str:
    files = wide_table(
        ("file", "MB"), [[name, f"{size / 1e6:,.1f}"] for name, size in one["files"].items() if size > 1e5]
    )
    rates = one["queries_a_second"]
    return (
        f"{one['dimension']} dimensions: opened in {one['opening_ms']:.0f} ms; numpy answered "
        f"{rates['numpy_alone']:.1f} searches a second one by one and {rates['numpy']:.1f} with 200 at once; the "
        f"index's own measurement: {one['search']}. {one['hardware']}, commit {one['commit']}, {one['date']}, other "
        f"work at a load of {one['load_before']:.1f} before: `{one['command']}`.\n\n{files}"
    )


def _evidence_of_kills(kills: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} of {name}" for name, number in sorted(kills["kills"].items()))
    return (
        f"Kills: {counts}; {sum(kills['ended_before'].values())} commands had ended before. {kills['hardware']}, "
        f"commit {kills['commit']}: `{kills['command']}`."
    )


if __name__ == "__main__":
    cyclopts.run(write)
