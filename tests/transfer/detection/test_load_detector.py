"""A folder without a usable detector is refused in a sentence."""

from pathlib import Path

import pytest

from goodviews.hub.errors import ArtifactError
from goodviews.transfer.detection.load_detector import load_detector


def test_folders_without_a_detector_are_refused(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"detector\.json is missing; give the folder of a finished detection run"):
        load_detector(tmp_path)
    for content in ("[]", '{"format": 0}', '{"format": 1, "classes": []}'):
        (tmp_path / "detector.json").write_text(content)
        with pytest.raises(ArtifactError, match=r"detector\.json (was|has|lacks) .*train the detector again"):
            load_detector(tmp_path)
