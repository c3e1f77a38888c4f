"""Smaller variants, feature maps and classifiers: what they are, how they are judged, what is refused."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from goodviews.export.onnx import judge, onnx_file
from goodviews.export.onnx.bench import EAGER, measure_export
from goodviews.export.onnx.classifier_folder import read_classifier
from goodviews.export.onnx.describe import add_speed
from goodviews.export.onnx.extras import write_classifier, write_feature_maps
from goodviews.export.onnx.judge import LIMITS, Limits, compare, refusal
from goodviews.export.onnx.onnx_file import Export, Wanted, export
from goodviews.export.onnx.samples import FEWEST, split
from goodviews.export.onnx.trial_photos import trial_photos
from goodviews.export.onnx.write import ExportFailed
from goodviews.hub import ArtifactError, DataError, Encoder, OnnxClassifier, OnnxEncoder
from goodviews.hub.images import read_image
from goodviews.hub.preprocessing import prepare_pixels
from goodviews.hub.sources.open import open_data
from goodviews.hub.sources.source import Data


@pytest.fixture(scope="session")
def many_photos(tmp_path_factory: pytest.TempPathFactory, gallery: list[Path]) -> Data:
    """60 pieces of real photos in two classes."""
    root, generator = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    for number in range(60):
        with Image.open(gallery[number % len(gallery)]) as photo:
            left, top = (int(generator.integers(0, side // 2)) for side in photo.size)
            piece = photo.convert("RGB").crop((left, top, left + photo.width // 2, top + photo.height // 2))
        (root / f"class{number % 2}").mkdir(exist_ok=True)
        piece.save(root / f"class{number % 2}" / f"{number:02}.png")
    return open_data(root)


@pytest.fixture(scope="module")
def small(exported: Export, encoder: Encoder, many_photos: Data, tmp_path_factory: pytest.TempPathFactory) -> Export:
    from ...conftest import TRACED, copy_of

    with pytest.MonkeyPatch.context() as patch:
        for name in ("trace_image", "trace_pixels"):
            patch.setattr(onnx_file, name, lambda *_, name=name: copy_of(TRACED[name]))
        patch.setitem(LIMITS, ("int8", "pixels"), Limits(None, 2e-2, overlap=0.5, knn_loss=100))  # untrained weights
        wanted = Wanted(fp16=True, calibration=many_photos)
        return export(encoder, tmp_path_factory.mktemp("small") / "onnx", wanted=wanted)


@pytest.mark.parametrize(("variant", "share", "distance"), [("fp16", 0.51, 1e-4), ("int8", 0.27, 2e-2)])
def test_a_variant_is_smaller_and_gives_nearly_the_vectors(
    small: Export, encoder: Encoder, gallery: list[Path], variant: str, share: float, distance: float
):
    for name in ("model", "model_pixels"):
        path = small.folder / f"{name}_{variant}.onnx"
        assert path.stat().st_size < share * (small.folder / f"{name}.onnx").stat().st_size
        opened = OnnxEncoder(path, threads=1)
        assert opened.variant == variant
        vectors = opened.encode(gallery)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert (1 - (vectors * encoder.encode(gallery)).sum(axis=1)).mean() < distance
    assert OnnxEncoder(small.folder, variant=variant).path.name == f"model_pixels_{variant}.onnx"  # type: ignore[arg-type]


def test_int8_is_another_encoder_to_an_index_and_fp32_is_the_same(small: Export, encoder: Encoder):
    assert OnnxEncoder(small.folder).id.differences(encoder.id) == []
    differences = OnnxEncoder(small.folder, variant="int8").id.differences(encoder.id)
    assert len(differences) == 1
    assert differences[0].startswith("fingerprints")


def test_what_was_measured_is_in_the_file_the_card_and_export_json(small: Export):
    measured = small.files["model_pixels_int8.onnx"]
    assert measured.photos == 30
    assert measured.overlap is not None
    assert OnnxEncoder(small.folder, variant="int8").measured == measured.to_json()
    described = json.loads((small.folder / "export.json").read_text())
    assert described["files"]["model_pixels_int8.onnx"]["difference_from_pytorch"] == measured.to_json()
    assert f"| {measured.overlap:.3f} |" in (small.folder / "README.md").read_text()


def test_speed_and_memory_are_measured_for_every_file_and_appended_to_the_card(
    exported: Export, encoder: Encoder, encoder_folder: Path, tmp_path: Path
):
    folder = shutil.copytree(exported.folder, tmp_path / "onnx")
    options = {"batches": [2], "rounds": 1, "round_s": 0.0}
    measured = measure_export(encoder, folder, name=str(encoder_folder), **options)  # type: ignore[arg-type]
    names = {row.name for row in measured.rows}
    assert {EAGER, "ONNX Runtime fp32"} <= names
    for row in measured.rows:
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
    assert measured.bytes == {name: (folder / name).stat().st_size for name in ("model.onnx", "model_pixels.onnx")}
    add_speed(folder, measured)
    text = (folder / "README.md").read_text()
    assert text.startswith((exported.folder / "README.md").read_text().rstrip())
    if sys.platform == "linux":
        assert set(measured.peak_memory_mb) == names
        memory = measured.peak_memory_mb
        assert 30 < memory["ONNX Runtime fp32"] < memory[EAGER]
        assert f"| ONNX Runtime fp32 | {memory['ONNX Runtime fp32']:.0f} |" in text


def test_the_oldest_allowed_runtime_reads_opset_and_format_and_nothing_names_this_machine(small: Export):
    for path in small.folder.glob("*.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model)
        assert model.ir_version <= 10
        assert {"": 20}.items() <= {each.domain: each.version for each in model.opset_import}.items()
        for place in (b"site-packages", str(Path.home()).encode() + b"/", str(Path.cwd()).encode(), b"/tmp/"):
            assert place not in path.read_bytes()


def test_activations_are_unsigned_and_weights_have_a_scale_a_channel(small: Export):
    model = onnx.load(small.folder / "model_pixels_int8.onnx")
    initial = {each.name: each for each in model.graph.initializer}
    quantised = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {initial[node.input[2]].data_type for node in quantised} == {onnx.TensorProto.UINT8}
    weights = [each for each in initial.values() if each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 4]
    assert len(weights) == 20
    scales = [node.input[1] for node in model.graph.node if node.input[0] in {each.name for each in weights}]
    assert all(initial[scale].dims[0] > 1 for scale in scales)


def test_calibration_and_judges_share_no_photo(many_photos: Data):
    calibration, judges = split(many_photos)
    assert set(calibration.positions) & set(judges.positions) == set()
    assert len(calibration.positions) + len(judges.positions) == 60
    with pytest.raises(DataError, match="at least 42"):
        split(Data(many_photos.train.part(range(FEWEST))))  # type: ignore[attr-defined]
    assert split(Data(many_photos.train, many_photos.train))[1].source is many_photos.train


def test_an_int8_file_that_finds_other_neighbours_is_not_written(
    traced: None, encoder: Encoder, many_photos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(LIMITS, ("int8", "pixels"), Limits(None, 2e-2, overlap=1.01))
    with pytest.raises(ExportFailed, match=r"model_pixels_int8.onnx finds .* 10 nearest neighbours, .* without --int8"):
        export(encoder, tmp_path / "out", wanted=Wanted(calibration=many_photos))
    assert list(tmp_path.iterdir()) == []


def test_neighbours_and_their_vote_are_those_worked_out_by_hand():
    angles = np.radians([*range(12), *range(90, 102)])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.repeat([0, 1], 12)
    same = compare(rows, rows, Limits(1e-5, 1e-5), labels)
    assert (same.overlap, same.knn, same.knn_pytorch, same.knn_change) == (1, 100, 100, 0)
    assert same.largest == pytest.approx(0, abs=1e-12)
    exchanged = rows.copy()
    exchanged[[0, 12]] = rows[[12, 0]]
    other = compare(exchanged, rows, Limits(1e-5, 1e-5), labels)
    assert other.knn == pytest.approx(100 * 22 / 24)
    assert other.largest == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"mean": 0.03}, "on average 0.03 away"),
        ({"overlap": 0.89}, "finds 89.0% of PyTorch's 10"),
        ({"knn": 54.9}, "loses 1.1 points of kNN accuracy"),
        ({"knn": 55.1}, None),
        ({"mean": float("nan")}, "away from PyTorch"),
    ],
)
def test_each_criterion_of_int8_refuses_by_itself(change, sentence: str | None):
    good = judge.Difference(1000, 0.05, 0.01, 0.5, 0.02, overlap=0.97, knn=56.5, knn_pytorch=56.0)
    reason = refusal(replace(good, **change), LIMITS["int8", "pixels"])
    assert reason is None if sentence is None else sentence in (reason or "")


@pytest.mark.slow
def test_feature_maps_are_pytorchs_and_are_no_embedding(encoder: Encoder, tmp_path: Path):
    name = write_feature_maps(encoder, tmp_path, {"format": 1}, trial_photos()[:4])
    outputs = onnx.load(tmp_path / name).graph.output
    assert [output.name for output in outputs] == ["res2", "res3", "res4", "res5"]
    with pytest.raises(ArtifactError, match="gives feature_maps, no embedding"):
        OnnxEncoder(tmp_path / name)


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A fine-tuned network of three classes, as timm writes one."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=3, channels=[8, 16, 32, 64])
    folder = tmp_path / "classifier"
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    cfg = {"input_size": [3, 64, 64], "interpolation": "bilinear", "crop_pct": 0.9}
    cfg |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    config = {"architecture": "resnet18", "num_classes": 3, "model_args": {"channels": [8, 16, 32, 64]}}
    config |= {"label_names": ["cat", "dog", "owl"], "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.slow
def test_a_classifier_gives_probabilities_and_names_its_classes(classifier: Path, tmp_path: Path):
    photos = trial_photos()
    write_classifier(classifier, tmp_path, {"format": 1}, photos)
    opened = OnnxClassifier(tmp_path, threads=1)
    assert opened.classes == ("cat", "dog", "owl")
    found = opened.classify(photos)
    assert found.shape == (len(photos), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    ours = read_classifier(classifier)
    pixels = np.stack([prepare_pixels(photo, ours.preprocessing) for photo in photos])
    with torch.inference_mode():
        np.testing.assert_allclose(found, ours.network(torch.from_numpy(pixels)).softmax(dim=1), atol=1e-2)
    with pytest.raises(ArtifactError, match="gives classes, no embedding"):
        OnnxEncoder(tmp_path / "classifier.onnx")


def test_a_classifier_keeps_the_range_of_values_that_it_was_fine_tuned_on(classifier: Path, tmp_path: Path):
    scan = tmp_path / "scan.png"
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(scan)
    config = json.loads((classifier / "config.json").read_text())
    digest = hashlib.sha256((classifier / "model.safetensors").read_bytes()).hexdigest()
    config["goodviews_classifier"] = {"weights_sha256": digest, "values": [0, 4095]}
    (classifier / "config.json").write_text(json.dumps(config))
    write_classifier(classifier, tmp_path, {"format": 1}, trial_photos()[:2])
    opened = OnnxClassifier(tmp_path, threads=1)
    np.testing.assert_array_equal(opened.classify([scan]), opened.classify([read_image(scan, values=(0, 4095))]))


def test_a_file_that_is_no_classifier_is_refused(exported: Export, tmp_path: Path):
    with pytest.raises(ArtifactError, match="--head"):
        OnnxClassifier(tmp_path)
    with pytest.raises(ArtifactError, match="classes"):
        OnnxClassifier(exported.folder / "model.onnx")


def test_a_folder_without_a_classifier_is_refused(classifier: Path, encoder_folder: Path, tmp_path: Path):
    with pytest.raises(ArtifactError, match="0 for num_classes"):
        write_classifier(encoder_folder, tmp_path, {}, [])
    with pytest.raises(ArtifactError, match="holds no classifier"):
        write_classifier(tmp_path / "absent", tmp_path, {}, [])
    config = json.loads((classifier / "config.json").read_text())
    (classifier / "config.json").write_text(json.dumps(config | {"label_names": ["cat"]}))
    with pytest.raises(ArtifactError, match="names 1 classes where num_classes is 3"):
        write_classifier(classifier, tmp_path, {}, [])
