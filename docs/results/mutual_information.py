"""Writes docs/results/mutual-information: I_NCE of correlated Gaussians beside what they truly share.

    python docs/results/mutual_information.py --out docs/results/mutual-information

Gaussians of 20 dimensions; the estimate of a critic that learned, on pairs it did not learn from, and of the best
critic there is. Five minutes on a processor core.
"""

import json
import math
from pathlib import Path
from typing import Any

import cyclopts
import torch
from layout import folded, table
from layout import page as layout_page
from matplotlib.figure import Figure

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.pretrain.analysis.gaussians import draw_gaussians, exact_critic, train_critic
from goodviews.pretrain.analysis.mutual_information import block_bounds, bound_of

DIMENSIONS, NEGATIVES, STEPS, SEEDS, PAIRS = 20, 255, 4000, 2, 4096
HEADINGS = ("true, nats", "I_NCE of a critic that learned", "of the best critic")
TRUE = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)


def write(*, out: Path = Path("docs/results/mutual-information"), steps: int = STEPS, seeds: int = SEEDS) -> None:
    """Measure, and write figures.json, curve.png and README.md.

    Args:
        out: the page's folder.
        steps: of each critic's training.
        seeds: critics of each value.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    points = [_measure(nats, steps, seeds) for nats in TRUE]
    settings = {"dimensions": DIMENSIONS, "negatives": NEGATIVES, "steps": steps, "seeds": seeds, "pairs": PAIRS}
    figures = {**settings, "commit": commit(), "hardware": hardware(), "points": points}
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    draw(figures, out / "curve.png")
    (out / "README.md").write_text(page(figures), encoding="utf-8")


@torch.no_grad()
def _estimate(nats: float, critic: Any, seed: int) -> list[float]:
    pairs = draw_gaussians(nats, DIMENSIONS, PAIRS, torch.Generator().manual_seed(1000 + seed))
    found: list[float] = block_bounds(*pairs, critic, negatives=NEGATIVES).tolist()
    return found


def _measure(nats: float, steps: int, seeds: int) -> dict[str, float]:
    learned = [
        _estimate(nats, train_critic(nats, DIMENSIONS, batch_size=NEGATIVES + 1, steps=steps, seed=seed), seed)
        for seed in range(seeds)
    ]
    bound = bound_of(learned, negatives=NEGATIVES)
    best = bound_of([_estimate(nats, exact_critic(nats, DIMENSIONS), 0)], negatives=NEGATIVES)
    return {"true": nats, "learned": bound.nats, "low": bound.low, "high": bound.high, "best": best.nats}


def draw(figures: dict[str, Any], path: Path) -> None:
    """The curve."""
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.subplots()
    points, ceiling = figures["points"], math.log(figures["negatives"] + 1)
    x = [point["true"] for point in points]
    axes.plot([0, max(x)], [0, max(x)], color="#9aa0a6", linewidth=1, label="what they share")
    axes.axhline(
        ceiling, color="#202124", linestyle=(0, (2, 3)), linewidth=1, label=f"ceiling, log {figures['negatives'] + 1}"
    )
    axes.plot(x, [point["best"] for point in points], "s:", color="#c0562f", markersize=4, label="I_NCE, best critic")
    y = [point["learned"] for point in points]
    reach = [
        [point["learned"] - point["low"] for point in points],
        [point["high"] - point["learned"] for point in points],
    ]
    axes.errorbar(x, y, yerr=reach, fmt="o-", color="#1f6f8b", markersize=4, label="I_NCE, critic that learned")
    axes.set_xlabel("mutual information, nats")
    axes.set_ylabel("estimate, nats")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def page(figures: dict[str, Any]) -> str:
    """The text of README.md."""
    rows = [
        [f"{one['true']:.2f}", f"{one['learned']:.2f} [{one['low']:.2f}, {one['high']:.2f}]", f"{one['best']:.2f}"]
        for one in figures["points"]
    ]
    ceiling = math.log(figures["negatives"] + 1)
    close = [one for one in figures["points"] if one["best"] > 0.9 * one["true"]]
    gap = max(1 - one["learned"] / one["true"] for one in close)
    return layout_page(
        "I_NCE of Gaussians whose mutual information is known",
        question="Is the information that two views share measured rightly?",
        setting=(
            f"Pairs of Gaussians of {figures['dimensions']} dimensions, {figures['negatives']} negatives, so a ceiling "
            f"of {ceiling:.2f} nats; critics of {figures['steps']} steps, {figures['seeds']} seeds, scored on "
            f"{figures['pairs']} pairs that they did not learn from."
        ),
        found=[
            "![curve](curve.png)",
            table(HEADINGS, rows),
        ],
        answer=(
            f"Up to {max(one['true'] for one in close):g} nats nearly: the best critic there is comes within 10 % of "
            f"the truth, and the learned one stays at most {100 * gap:.0f} % below it. Nearer to the ceiling both fall "
            "behind. Gaussians are easier than photos, for which no truth is known."
        ),
        evidence=[
            folded(
                "Command, commit and hardware",
                f"`python docs/results/mutual_information.py --steps {figures['steps']} --seeds {figures['seeds']}`; "
                f"commit {figures['commit']}, {figures['hardware']}.",
            ),
            "Made by `docs/results/mutual_information.py` from figures.json; no figure is typed by hand.",
        ],
    )


if __name__ == "__main__":
    cyclopts.run(write)
