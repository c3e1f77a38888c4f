"""Each command that writes, asked to replace what it must not: all files stay, and one sentence says why."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub import Encoder, OutputExists
from goodviews.hub.artifact import save
from goodviews.hub.cli import run
from goodviews.hub.files.atomic import write_json
from goodviews.hub.reports.report import Report, save_report

OLD_FILES = Path(__file__).parent / "old_files"


@pytest.fixture
def place(
    tmp_path: Path,
    encoder: Encoder,
    images: Path,
    make_report: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """photos/, encoder/, an exported encoder, a checkpoint, a report's folder, a letter and a photo."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(images, "photos")
    save(encoder, "encoder")
    shutil.copytree(OLD_FILES / "exported", "exported")
    shutil.copyfile("encoder/model.safetensors", "weights.safetensors")
    save_report(make_report(), Path("result/report.json"))
    Image.new("RGB", (40, 40)).save("photo.png")
    Path("letter.png").write_text("Dear friend")
    Path("letters").mkdir()
    Path("letters/a.txt").write_text("Dear friend")
    write_json(Path("index/index.json"), {"kind": "goodviews image index"})
    return tmp_path


FOLDERS = {  # a command that makes a folder -> what it reads
    "pretrain moco_v2_smoke --data photos --precision fp32": "photos",
    "transfer knn --encoder encoder --data photos": "photos encoder",
    "export encoder --images photos": "encoder photos",
    "index build --encoder exported --images photos": "exported photos",
    "index build --encoder exported --vectors photos": "exported photos",
    "index merge index index": "index",
    "duplicates index": "index",
    "compare result": "result",
    "detect result photo.png letter.png": "result",
    "hub import weights.safetensors": "",
    "hub pull owner/name": "",
    "demo": "",
    "views sweep head --data photos --steps 1": "photos",
    "views measure moco_v2_200 --data photos --steps 1": "photos",
    "views learn --data photos --epochs 1": "photos",
    "views tune --data photos --steps 1": "photos",
}
FILES = {
    "views show moco_v2_smoke --image photo.png": "photo.png",
    "views moco_v2_smoke --image photo.png": "photo.png",
    "search index photo.png": "photo.png",
    "detect result photo.png": "photo.png",
}


def content(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_others_made_or_that_the_command_reads_stays(place: Path, command: str):
    before = content(place)
    for out in ("letters", ".", "letter.png", *FOLDERS[command].split()):
        with pytest.raises(OutputExists, match=out):
            run([*command.split(), "--out", out, "--overwrite"])
    assert content(place) == before


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_others_made_or_that_the_command_reads_stays(place: Path, command: str):
    before = content(place)
    for out in ("letter.png", FILES[command]):
        with pytest.raises(OutputExists, match=out):
            run([*command.split(), "--out", out, "--overwrite"])
    assert content(place) == before


def test_convert_replaces_neither_the_encoder_that_it_reads_nor_a_letter(place: Path):
    shutil.copyfile("letter.png", "letter.pth")
    before = content(place)
    for kind, out in (("timm", "encoder/model.safetensors"), ("timm", "letter.pth"), ("moco", "letter.pth")):
        with pytest.raises(OutputExists, match=out):
            run(["hub", "convert", "encoder", "--to", kind, "--out", out, "--overwrite"])
    assert content(place) == before


def test_a_command_replaces_what_it_wrote_itself(place: Path):
    build = ["index", "build", "--encoder", "exported", "--images", "photos", "--out", "built"]
    run(build)
    run([*build, "--overwrite"])
    views = ["views", "moco_v2_smoke", "--image", "photo.png", "--out", "sheet.png"]
    run(views)
    run([*views, "--overwrite"])
    moved = Path("built/inner")
    shutil.copytree("photos", moved)
    with pytest.raises(OutputExists, match="holds the input"):
        run(["index", "build", "--encoder", "exported", "--images", str(moved), "--out", "built", "--overwrite"])
