import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from goodviews.hub import ArtifactError
from goodviews.hub.artifact import load
from goodviews.hub.encoder_folder import read_config
from goodviews.hub.files.json_files import Fields, Place, parse_json, read_json
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import Report, load_report, save_report

OLD_FILES = Path(__file__).parents[2] / "old_files"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(OLD_FILES / "encoder", tmp_path / "encoder")
    return tmp_path / "encoder"


def test_whatever_is_odd_in_config_json_is_one_sentence(folder: Path, refused):
    config = json.loads((folder / "config.json").read_text())
    found = refused(folder / "config.json", config, lambda: load(folder, verify=False), or_names="model.safetensors")
    must = {
        *(("missing", name) for name in ("architecture", "pretrained_cfg", "pretrained_cfg.mean", "goodviews.format")),
        *(("wrong type", name) for name in ("architecture", "global_pool", "num_features", "goodviews.name")),
        *(("negative", name) for name in ("num_features", "pretrained_cfg.input_size.0", "pretrained_cfg.std.0")),
        *(("empty", name) for name in ("architecture", "pretrained_cfg.interpolation", "goodviews.weights_sha256")),
        ("negative", "goodviews.epochs"),
        ("empty", "pretrained_cfg.mean"),
        ("wrong type", "model_args.channels.0"),
    }
    assert must - found == set()


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        (None, "global_pool", "magic"),
        (None, "num_features", 10**7),
        (None, "model_args", {"channels": [1, 2, 4, 10**7]}),
        (None, "model_args", {"channels": [65536] * 4}),
        (None, "model_args", {"layers": [60000, 1, 1, 1]}),
        (None, "model_args", {"checkpoint_path": "evil.pth"}),
        ("pretrained_cfg", "interpolation", "nearest"),
        ("pretrained_cfg", "crop_pct", 0),
        ("pretrained_cfg", "mean", [0.5]),
        ("pretrained_cfg", "std", [0.5, 0.5, 0.0]),
        ("pretrained_cfg", "input_size", [3, 10**7, 10**7]),
        ("goodviews", "fingerprint", "AAAA"),
        ("goodviews", "weights_sha256", "no digest"),
    ],
)
def test_values_that_no_encoder_has_are_refused(folder: Path, part: str | None, field: str, value: object):
    config = json.loads((folder / "config.json").read_text())
    (config[part] if part else config)[field] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError) as refusal:
        load(folder, verify=False)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_whatever_is_odd_in_a_report_is_one_sentence(
    make_report: Callable[..., Report], tmp_path: Path, refused: Callable[..., set[tuple[str, str]]]
):
    file = save_report(make_report(), tmp_path / "report.json")
    found = refused(file, json.loads(file.read_text()), lambda: load_report(file))
    fields = ("protocol", "encoder", "dataset", "metrics", "primary", "engine", "seed", "evidence", "description")
    assert {("missing", field) for field in fields} - found == set()
    assert {("wrong type", field) for field in fields if field != "seed"} - found == set()


def test_whatever_is_odd_in_a_report_of_format_1_is_one_sentence(tmp_path: Path, refused):
    old = Path(__file__).parents[2] / "transfer" / "old_reports" / "knn.json"
    file = tmp_path / "report.json"
    refused(file, json.loads(old.read_text()), lambda: load_report(file))


def test_whatever_is_odd_in_an_encoders_identity_is_one_sentence_without_pydantic(tmp_path: Path, refused):
    identity = json.loads((OLD_FILES / "exported" / "export.json").read_text())["encoder"]
    file = tmp_path / "model.onnx"

    def read() -> EncoderId:
        note = parse_json(file.read_text(), Place(file, "export it again"))
        return EncoderId.from_json(Fields(note, Place(file, "export it again")).part("encoder").values, file)

    found = refused(file, {"encoder": identity}, read)
    fields = ("name", "architecture", "weights_sha256", "dimension", "preprocessing", "fingerprint")
    assert {("missing", f"encoder.{field}") for field in fields} - found == set()
    assert {(kind, f"encoder.{field}") for field in fields for kind in ("wrong type", "empty")} - found == set()


@pytest.mark.parametrize("text", ["", "[1]", "null", "{", '{"a": 1e999}', '{"a": ' + "[" * 10**5, "\ud800"])
def test_text_that_is_no_object_is_refused(tmp_path: Path, text: str):
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ArtifactError, match=r"a\.json") as refusal:
        read_json(Place(tmp_path / "a.json", "make it again"))
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_read(folder: Path):
    file = folder / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_config(folder)["architecture"] == "resnet18_cifar"
