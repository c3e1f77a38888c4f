import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

from goodviews.hub.cli import main
from goodviews.hub.doctor import examine as examination
from goodviews.hub.doctor import hardware, packages
from goodviews.hub.doctor.examine import examine, fixes, what_tasks_lack
from goodviews.hub.doctor.finding import Finding
from goodviews.hub.doctor.probes import Answer

VERSIONS = {
    "torch": "2.15.0+cu126",
    "torchvision": "0.30.0",
    "timm": "1.0.31",
    "onnxruntime": "1.32.0",
    "faster-coco-eval": "1.8.0",
    "setuptools": "84.0.0",
}
REQUIRES = {
    "goodviews": [
        "torch>=2.6",
        "timm>=1.0.12",
        'faiss-cpu>=1.9; extra == "retrieval"',
        'faster-coco-eval>=1.8; extra == "detection"',
        'pytest>=8; extra == "test"',
    ],
    "torchvision": ["numpy", "torch==2.15.0"],
}
REALLY_REQUIRED = metadata.requires("goodviews")
CORE = Answer({name: {} for name in ("numpy", "pillow", "torchvision", "timm", "accelerate")})
CORE.facts["torch"] = {"cuda": "12.6", "gpus": [], "bf16": False}


@pytest.fixture
def machine(monkeypatch):
    """A machine described by dictionaries; change them, then examine it."""
    versions, requires, answers = dict(VERSIONS), dict(REQUIRES), {"core": CORE}
    monkeypatch.setattr(packages, "installed_version", versions.get)
    monkeypatch.setattr(examination, "installed_version", versions.get)
    monkeypatch.setattr(metadata, "requires", requires.get)
    monkeypatch.setattr(examination, "ask", lambda names: {name: answers.get(name, Answer()) for name in names})
    monkeypatch.setattr(hardware, "gpus_of_the_driver", lambda: None)
    return versions, requires, answers


def finding(subject: str) -> Finding:
    return next(found for found in examine() if found.subject == subject)


def test_a_whole_machine_lacks_only_what_is_optional(machine):
    lacks = [found for found in examine() if found.state in {"missing", "broken"}]
    assert [found.subject for found in lacks] == ["faiss-cpu", "detectron2"]
    assert lacks[0].fix == 'pip install "faiss-cpu>=1.9"'
    assert not any(found.breaks_the_core for found in lacks)
    assert not any(found.subject == "pytest" for found in examine())
    ready = what_tasks_lack(examine())
    assert ready["pretraining, classification, VOC detection"] == []
    assert ready["image index and search"] == ["faiss-cpu"]


def test_every_package_is_needed_for_something_that_a_reader_knows(machine):
    machine[1]["goodviews"] = REALLY_REQUIRED
    purposes = {found.subject: found.needed_for for found in examine()}
    assert not [purpose for purpose in purposes.values() if "extra" in purpose]
    assert purposes["starlette"] == "goodviews serve, goodviews hub serve"
    assert purposes["datasets"] == "--data hf:NAME"
    assert purposes["onnx"] == "ONNX export"


def test_missing_and_old_packages_are_named_with_the_command(machine):
    machine[0]["timm"] = "0.9.0"
    del machine[0]["torch"]
    assert (finding("torch").state, finding("torch").fix) == ("missing", 'pip install "torch>=2.6"')
    assert finding("timm").found == "0.9.0, but >=1.0.12 is needed"
    ready = what_tasks_lack(examine())
    assert ready["pretraining, classification, VOC detection"] == ["torch", "timm"]
    assert ready["image index and search"] == ["what everything needs", "faiss-cpu"]
    assert not any(found.subject == "torchvision for torch" for found in examine())


def test_packages_that_are_only_missing_share_a_command(machine):
    machine[0]["timm"] = "0.9.0"
    for name in ("torch", "faster-coco-eval"):
        del machine[0][name]
    ways = fixes(examine())
    assert ways["torch, faiss-cpu, faster-coco-eval"] == (
        'pip install "torch>=2.6" "faiss-cpu>=1.9" "faster-coco-eval>=1.8"'
    )
    assert ways["timm"] == 'pip install "timm>=1.0.12"'
    assert "git+https" in ways["detectron2"]


def test_torchvision_of_another_torch_is_found_without_importing_either(machine):
    assert finding("torchvision for torch").state == "fine"
    machine[1]["torchvision"] = ["torch==2.14.1"]
    found = finding("torchvision for torch")
    assert found.breaks_the_core
    assert found.fix == 'pip install --upgrade "torch==2.15.0" torchvision'


def test_the_first_package_that_did_not_answer_is_to_blame(machine):
    facts = {name: CORE.facts[name] for name in ("numpy", "pillow", "torch", "torchvision")}
    machine[2]["core"] = Answer(facts, "ImportError: no such symbol")
    assert finding("timm").found == "1.0.31: ImportError: no such symbol"
    assert finding("torch").state == "fine"


@pytest.mark.parametrize(
    ("torch", "driver", "hidden", "state", "fix"),
    [
        ({"cuda": None, "gpus": [], "bf16": False}, None, None, "fine", None),
        ({"cuda": "12.6", "gpus": ["H200"], "bf16": True}, "H200, 570", None, "fine", None),
        ({"cuda": None, "gpus": [], "bf16": False}, "H200, 570", None, "broken", "pip install --force-reinstall"),
        ({"cuda": "12.6", "gpus": [], "bf16": False}, "H200, 470", None, "broken", "Update the NVIDIA driver"),
        ({"cuda": "12.6", "gpus": [], "bf16": False}, "H200, 570", "", "note", "unset CUDA_VISIBLE_DEVICES"),
    ],
    ids=["none", "works", "torch for the CPU", "old driver", "hidden"],
)
def test_a_gpu_that_is_not_used_is_explained(torch, driver, hidden, state, fix, machine, monkeypatch):
    machine[2]["core"] = Answer({**CORE.facts, "torch": torch})
    monkeypatch.setattr(hardware, "gpus_of_the_driver", lambda: driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = finding("GPU")
    assert found.state == state
    assert (found.fix or "").startswith(fix or "")
    assert not found.breaks_the_core


def test_detectron2_is_asked_for_its_build_and_its_trap(machine, monkeypatch):
    machine[0]["detectron2"] = "0.6"
    machine[2]["detectron2"] = Answer({"detectron2": {"cuda": None}})
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert finding("detectron2").state == "fine"
    assert finding("setuptools").fix == 'pip install "setuptools<81"'
    monkeypatch.setattr(packages, "find_spec", lambda name: object())
    assert not any(found.subject == "setuptools" for found in examine())
    machine[2]["core"] = Answer({**CORE.facts, "torch": {"cuda": "12.6", "gpus": ["H200"], "bf16": True}})
    assert finding("detectron2").state == "broken"
    assert "FORCE_CUDA=1 pip install --force-reinstall --no-deps" in str(finding("detectron2").fix)
    machine[2]["detectron2"] = Answer({}, "ImportError: undefined symbol")
    assert finding("detectron2").found == "0.6: ImportError: undefined symbol"
    machine[2]["detectron2"] = Answer({}, "ModuleNotFoundError: No module named 'fvcore'")
    assert finding("detectron2").fix == "pip install fvcore"


def test_what_coco_tasks_need_is_fixed_by_the_extra_that_brings_it(machine):
    assert what_tasks_lack(examine())["COCO detection and masks"] == []
    machine[2]["faster-coco-eval"] = Answer({}, "ImportError: no")
    assert finding("faster-coco-eval").state == "broken"
    assert what_tasks_lack(examine())["COCO detection and masks"] == ["faster-coco-eval"]
    del machine[0]["faster-coco-eval"]
    assert finding("faster-coco-eval").fix == 'pip install "faster-coco-eval>=1.8"'
    assert what_tasks_lack(examine())["pretraining, classification, VOC detection"] == []


def test_little_room_is_a_note(machine, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1e9, "total": 64e6}))
    assert finding("disk (here)").state == "note"
    found = finding("shared memory").found
    assert re.fullmatch(r"64 MB; loader workers need \d+\.\d GB of photos of 224 px at a batch of 256", found)


def test_the_command_fails_only_for_the_core(machine, capsys):
    main(["doctor"])
    printed = capsys.readouterr().out
    assert 'faiss-cpu:\n  pip install "faiss-cpu>=1.9"' in printed
    assert "no image index and search (lacks faiss-cpu)" in printed
    machine[2]["core"] = Answer({"numpy": {}}, "ImportError: libjpeg is gone")
    machine[1]["goodviews"].append("pillow>=10")
    machine[0]["pillow"] = "13.0.0"
    with pytest.raises(SystemExit) as stopped:
        main(["doctor"])
    assert stopped.value.code == 1
    assert "Nothing can run before this is fixed: pillow." in capsys.readouterr().err


def test_the_doctor_imports_nothing_that_it_examines():
    code = """
import sys
from goodviews.hub.doctor import examine
from goodviews.hub.doctor.probes import Answer
examine.ask = lambda names: {name: Answer({"detectron2": {"cuda": None}}) for name in names}
examine.examine()
print(sorted({"torch", "numpy", "faiss", "onnxruntime", "timm", "PIL"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


def test_a_package_that_does_not_answer_on_a_busy_machine_is_asked_again_before_it_is_installed_again(machine):
    machine[0]["detectron2"] = "0.6"
    machine[2]["core"] = Answer({"numpy": {}, "pillow": {}}, "no answer in 120 s")
    machine[2]["detectron2"] = Answer({}, "no answer in 120 s")
    findings = {finding.subject: finding for finding in examine()}
    for name in ("torch", "detectron2"):
        assert "no answer in 120 s" in findings[name].found
        assert "busy" in (findings[name].fix or "")
