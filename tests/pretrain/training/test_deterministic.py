"""The option for runs that repeat themselves on a GPU."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop


@pytest.mark.parametrize("is_wanted", [True, False])
def test_only_a_run_that_asks_takes_deterministic_algorithms_and_only_while_it_lasts(
    is_wanted: bool, images: Path, tmp_path: Path
):
    seen = set()
    loop.pretrain(
        replace(choose("instdis_smoke"), architecture="test_resnet"),
        images,
        tmp_path / "run",
        Options(deterministic=is_wanted, knn_every=0, precision="fp32"),
        observe=lambda progress: seen.add(torch.are_deterministic_algorithms_enabled()),
    )
    assert seen == {is_wanted}
    assert not torch.are_deterministic_algorithms_enabled()
