"""The page of what only a GPU can show."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "results" / "gpu.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="runs in a clone: it reads docs/results")

SESSION = {
    "hardware": "2 x Some",
    "commit": "abc",
    "libraries": {"torch": "2.9"},
    "rehearsal": True,
    "parts": {
        "ceiling": {"seconds": 3.0, "moco_v2_smoke": {"images_per_s": 12.345}},
        "compiled": {"seconds": 0.1, "skipped": "no time"},
        "resumed": {"failed": "not done after 60 s"},
    },
}


@pytest.mark.parametrize("rehearsal", [True, False])
def test_a_rehearsal_says_that_no_figure_is_of_a_gpu_and_a_session_does_not(rehearsal: bool, tmp_path: Path):
    session = tmp_path / "session.json"
    session.write_text(json.dumps(SESSION | {"rehearsal": rehearsal}))
    runpy.run_path(str(SCRIPT))["write"](session=session, out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert ("no figure of a GPU is on this page" in page) == rehearsal
    assert "1 ran, 1 skipped, 1 failed" in page
    assert "skipped: no time" in page
    assert "| ceiling | moco_v2_smoke images_per_s | 12.35 |" in page
    assert json.loads((tmp_path / "page" / "session.json").read_text())["parts"] == SESSION["parts"]
