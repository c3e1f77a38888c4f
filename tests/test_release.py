"""What a release needs is there and agrees with itself."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (REPOSITORY / "CITATION.cff").is_file(), reason="runs in a clone")


def test_the_tested_versions_satisfy_every_requirement():
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (REPOSITORY / "constraints/tested.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    wanted = [each for each in map(Requirement, project["dependencies"] + extras) if each.name != "goodviews"]
    missing = [each.name for each in wanted if canonicalize_name(each.name) not in tested]
    assert missing == []
    assert [str(each) for each in wanted if tested[canonicalize_name(each.name)] not in each.specifier] == []


def test_the_tested_versions_are_written_from_the_installed_ones(tmp_path):
    (tmp_path / "write.py").write_bytes((REPOSITORY / "constraints/write.py").read_bytes())
    subprocess.run([sys.executable, str(tmp_path / "write.py"), "--detectron2", "abc"], check=True)
    lines = (tmp_path / "tested.txt").read_text().splitlines()
    assert lines[1] == "# detectron2: facebookresearch/detectron2 at abc"
    assert any(line.startswith("timm==") for line in lines)
    assert not any(line.startswith("goodviews") for line in lines)


@pytest.mark.parametrize("name", [".pre-commit-config.yaml", ".github/workflows/ci.yml", "CITATION.cff"])
def test_files_that_other_programs_read_are_yaml(name):
    assert yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_the_public_ci_runs_what_ours_runs():
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert {"run": ".ci/run"} in jobs["everything"]["steps"]
    assert {"run": 'pip install ".[test]" && pytest -n 2 --dist loadfile'} in jobs["newer-python"]["steps"]


def test_no_version_is_written_by_hand():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dynamic"] == ["version"]
    assert "version" not in project
