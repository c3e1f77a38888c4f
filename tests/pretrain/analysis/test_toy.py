from itertools import combinations
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import UsageError
from goodviews.pretrain.analysis import toy
from goodviews.pretrain.analysis.lab import run_sweep
from goodviews.pretrain.analysis.lab_options import LabOptions
from goodviews.pretrain.analysis.toy import FACTORS, ToyPairs, draw_factors, render_toy, toy_photos

pytest.importorskip("sklearn", reason="the toy set needs scikit-learn")


def test_labels_say_what_an_image_shows():
    generator = torch.Generator().manual_seed(0)
    count = 64
    factors = draw_factors(count, generator)
    images = render_toy(factors, 32, generator, is_test=False).float().mean(dim=1)
    digit = (images > 200).float()
    weight = digit.sum(dim=(1, 2)).clamp(min=1)
    centre = torch.stack([(digit.sum(dim=axis) * torch.arange(32.0)).sum(dim=1) / weight for axis in (2, 1)])
    cells = ((centre - 6) / 20 * 3).floor().clamp(0, 2)
    found = cells[0] * 3 + cells[1]
    is_seen = weight > 8
    assert float((found == factors["position"])[is_seen].float().mean()) > 0.6  # chance is a ninth


@pytest.mark.parametrize("shared", [shared for count in (1, 2) for shared in combinations(FACTORS, count)])
def test_views_share_what_is_asked_and_nothing_else(shared, monkeypatch):
    photos, drawn = toy_photos(px=16, train=200, test=10, seed=0), []
    render = render_toy
    monkeypatch.setattr(toy, "render_toy", lambda factors, *a, **k: drawn.append(factors) or render(factors, *a, **k))
    ToyPairs(shared, 16).draw(photos.train, torch.arange(200), torch.Generator().manual_seed(3))
    first, second = drawn
    for name in FACTORS:
        agreement = float((first[name] == second[name]).float().mean())
        assert agreement == 1 if name in shared else agreement < 0.3


def test_the_toy_sweep_scores_all_three_tasks(tmp_path: Path):
    report = run_sweep("toy", None, tmp_path / "run", LabOptions(steps=2, seeds=1, px=16, photos=60), precision="fp32")
    assert [point["name"] for point in report["points"]][:3] == list(FACTORS)
    assert len(report["points"]) == 7
    assert {f"linear {name}" for name in FACTORS} <= set(report["points"][0]["scores"])


def test_the_toy_sweep_takes_no_data(tmp_path: Path):
    with pytest.raises(UsageError, match="makes its own images"):
        run_sweep("toy", "photos", tmp_path / "run", LabOptions(steps=2))
