"""Ray: a local cluster of two workers, one of which is killed; the campaign with more kills is a benchmark."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goodviews.export.embedding.embed import embed
from goodviews.hub import MissingExtra

CAMPAIGN = Path(__file__).parents[3] / "benchmarks" / "embed_kills.py"


def test_a_missing_ray_is_named_with_its_extra(
    exported: Path, gallery: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match="--engine ray needs ray"):
        embed(str(gallery[0].parent), str(exported), tmp_path / "vectors.npy", engine="ray")


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_loses_and_doubles_nothing(exported: Path, gallery: list[Path], tmp_path: Path):
    pytest.importorskip("ray", reason="needs the extra cluster")
    if not CAMPAIGN.is_file():
        pytest.skip("runs in a clone: the campaign lies in benchmarks/")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(60):
        shutil.copy(gallery[number % len(gallery)], photos / f"{number:02}.jpg")
    words = ["--engine", "ray", "--kills", "1", "--part-size", "1"]
    ran = subprocess.run(
        [sys.executable, CAMPAIGN, *words, "--data", photos, "--encoder", exported],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ray: 1 kills, no photo lost, none doubled" in ran.stdout
