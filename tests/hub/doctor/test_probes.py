from pathlib import Path

from goodviews.hub.doctor.probes import Answer, ask


def fake(folder: Path, package: str, code: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(code)


def test_packages_that_crash_or_hang_only_harm_their_own_process(tmp_path, monkeypatch):
    fake(tmp_path, "numpy", "ndarray = 1")
    fake(tmp_path, "PIL", "raise ImportError('libjpeg is gone')")
    fake(tmp_path, "faiss", "import os; os.abort()")
    fake(tmp_path, "onnxruntime", "import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("goodviews.hub.doctor.probes.TIMEOUT_S", 3)
    answers = ask(["core", "faiss-cpu", "onnxruntime"])
    assert answers["core"] == Answer({"numpy": {}}, "ImportError: libjpeg is gone")
    assert answers["faiss-cpu"].failure == "importing it crashes the process (SIGABRT)"
    assert answers["onnxruntime"].failure == "no answer in 3 s"


def test_what_answered_before_the_time_was_over_is_not_blamed(tmp_path, monkeypatch):
    fake(tmp_path, "numpy", "ndarray = 1")
    fake(tmp_path, "PIL", "import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("goodviews.hub.doctor.probes.TIMEOUT_S", 3)
    assert ask(["core"])["core"] == Answer({"numpy": {}}, "no answer in 3 s")
