"""The card is made from what lies in the folder, and what it says is so."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResultEntry, ModelCard, eval_result_entries_to_yaml
from PIL import Image

from goodviews.hub import ArtifactError, Encoder, Origin, from_pretrained, load, save
from goodviews.hub.attach import attach_reports
from goodviews.hub.card_files import write_card
from goodviews.hub.encoder_folder import read_config
from goodviews.hub.reports.citations import _PAPERS, citations, papers_by_key
from goodviews.hub.reports.curves import draw_curves, read_curves, thin
from goodviews.hub.reports.licences import licence_fields
from goodviews.hub.reports.onnx_figures import OnnxFigures, record_onnx_figures
from goodviews.hub.reports.recipe_table import recipe_rows
from goodviews.hub.reports.report import Report
from goodviews.hub.reports.results import with_benchmark
from goodviews.pretrain.recipe import describe
from goodviews.pretrain.recipes.registry import RECIPES, choose

LINES = [
    {"step": 0, "epoch": 0.0, "knn_top1": 20.0},
    *(
        {"step": step, "epoch": step / 100, "loss": 7 - step / 500, "lr": 0.03, "data_wait": 0.1}
        for step in range(1000)
    ),
    {"step": 999, "epoch": 9.99, "knn_top1": 41.5},
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return from_pretrained("random:resnet18-w0.25-32px")


@pytest.fixture
def folder(encoder: Encoder, tmp_path: Path) -> Path:
    origin = Origin(
        "tiny", recipe=describe(choose("infomin_smoke")), dataset={"name": "photos|x", "images": 5}, epochs=2.0
    )
    made = Encoder(encoder.backbone, encoder.preprocessing, origin)
    return save(made, tmp_path / "encoder", curves=LINES)


def report_of(folder: Path, make_report: Callable[..., Report], **changes: object) -> Report:
    return make_report(weights=read_config(folder)["goodviews"]["weights_sha256"], **changes)


def test_its_header_is_the_hubs_and_holds_the_numbers_of_the_reports(folder: Path, make_report: Callable[..., Report]):
    attach_reports(folder, [report_of(folder, make_report, top1=47.25), report_of(folder, make_report, task="linear")])
    found = ModelCard.load(folder / "README.md").data
    assert found.library_name == "timm"
    results = {result.task_name: result for result in found.eval_results}
    assert (results["knn"].metric_value, results["knn"].metric_type) == (47.25, "accuracy")
    assert (results["linear"].metric_value, results["linear"].dataset_name) == (50.0, "flowers")


@pytest.mark.slow
def test_its_snippets_run(folder: Path, tmp_path: Path):
    pytest.importorskip("transformers", reason="transformers is not installed")
    for name in ("a.jpg", "b.jpg"):
        Image.linear_gradient("L").convert("RGB").save(tmp_path / name)
    write_card(folder)
    snippets = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(snippets) == 3
    code = "\n".join(snippets).replace("FOLDER", str(folder))
    code += "\nassert vectors.shape == (2, 128) and features.shape == (1, 128)"
    code += "\nimport torch; assert torch.equal(model(**processor(photo, return_tensors='pt')).pooler_output, features)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_recipe_is_a_table_of_every_setting():
    for name in RECIPES:
        recipe = describe(choose(name))
        rows = dict(recipe_rows(recipe))
        assert rows["batch size"] == str(recipe["batch_size"])
        assert f"lr {recipe['optimizer']['lr']:.6g}" in rows["optimizer"]
        assert len([row for row in rows if row.startswith("view ")]) == len(recipe["views"])
        for view, shown in zip(recipe["views"], rows.values()):
            assert all(step["type"] in shown for step in [view["crop"], *view["program"]])


def test_the_method_of_every_recipe_is_cited_but_that_of_the_supervised_one():
    for name in RECIPES:
        recipe = describe(choose(name))
        entries = citations({"recipe": recipe, "commit": "abc1234"})
        assert "@software{goodviews" in entries[-1]
        assert "version = {abc1234}" in entries[-1]
        assert (len(entries) > 1) == (recipe["objective"]["type"] != "Classify"), name
    by_views = citations({"recipe": describe(choose("infomin_adapt"))})
    assert ["infomin" in by_views[1].lower(), len(by_views)] == [True, 3]
    assert {key for keys in _PAPERS.values() for key in keys} == set(papers_by_key())


def test_curves_are_thinned_to_their_shape_and_drawn_when_the_card_is_made(folder: Path):
    lines = read_curves(folder)
    assert [line["knn_top1"] for line in lines if "knn_top1" in line] == [20.0, 41.5]
    losses = [line for line in lines if "loss" in line]
    assert 200 <= len(losses) <= 400
    assert losses[-1]["step"] == 999
    assert "data_wait" not in losses[0]
    assert not (folder / "figures" / "training.png").exists()
    assert "figures/training.png" not in (folder / "README.md").read_text()
    write_card(folder)
    with Image.open(folder / "figures" / "training.png") as picture:
        assert picture.size[0] > 800
    assert "](figures/training.png)" in (folder / "README.md").read_text()
    before = (folder / "figures" / "training.png").read_bytes()
    write_card(folder)
    assert (folder / "figures" / "training.png").read_bytes() == before  # an unchanged push sends nothing


def test_an_encoder_without_a_training_has_no_picture(encoder: Encoder, tmp_path: Path):
    folder = save(encoder, tmp_path / "plain")
    write_card(folder)
    assert "## Training" not in (folder / "README.md").read_text()
    assert not (folder / "figures").exists()
    assert draw_curves([]) is None
    assert thin([]) == []


@pytest.mark.parametrize("content", ["{", "[1]\n", '{"loss": 1}\n', '{"epoch": "x"}\n'])
def test_damaged_curves_are_refused(folder: Path, content: str):
    (folder / "figures" / "training.jsonl").write_text(content)
    with pytest.raises(ArtifactError, match=r"training\.jsonl .*delete it"):
        write_card(folder)


def test_a_licence_that_the_hub_does_not_list_is_named_as_another():
    assert licence_fields("CC-BY-NC 4.0") == {"license": "cc-by-nc-4.0"}
    assert licence_fields("research only") == {"license": "other", "license_name": "research only"}
    assert licence_fields(None) == {}


def test_results_of_a_benchmark_of_the_hub_stand_in_its_own_form(folder: Path, make_report: Callable[..., Report]):
    report = with_benchmark(report_of(folder, make_report, top1=47.25), "owner/flowers:default")
    attach_reports(folder, [report, report_of(folder, make_report, task="linear")])
    (file,) = (folder / ".eval_results").iterdir()
    assert file.name == "owner-flowers.yaml"
    (entry,) = yaml.safe_load(file.read_text())
    wanted = EvalResultEntry("owner/flowers", "default", 47.25, date=report.evidence.started, notes="knn, top1, seed 0")
    assert [entry] == eval_result_entries_to_yaml([wanted])
    attach_reports(folder, [replace(report, details={})], overwrite=True)
    assert list((folder / ".eval_results").iterdir()) == []


def test_figures_of_onnx_files_are_a_table(folder: Path):
    record_onnx_figures(folder, [OnnxFigures("model.onnx", {"size, MB": 94.1, "cosine to PyTorch": 1.0}, "40 photos")])
    int8 = OnnxFigures("model_int8.onnx", {"cosine to PyTorch": 0.99823}, "other photos")
    record_onnx_figures(folder, [int8])
    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "| `onnx/model.onnx` | 94.1 | 1 | 40 photos |" in card
    assert "| `onnx/model_int8.onnx` |  | 0.99823 | other photos |" in card
    (folder / "onnx" / "figures.json").write_text(json.dumps({"files": [{"file": "x"}]}))
    with pytest.raises(ArtifactError, match=r"figures\.json lacks files\.0\.measured"):
        write_card(folder)


def test_every_protocol_is_told_and_names_are_escaped(folder: Path, make_report: Callable[..., Report]):
    attach_reports(folder, [report_of(folder, make_report, description={"metric": "top-1", "features": "a*b, pooled"})])
    card = (folder / "README.md").read_text()
    assert r"- **knn** (protocol version 1) on flowers. `k 20`. Features: a\*b, pooled." in card
    assert r"photos\|x, 5 images" in card


def test_the_name_of_an_encoder_cannot_break_the_header(
    encoder: Encoder, make_report: Callable[..., Report], tmp_path: Path
):
    name = 'x"\n---\nlicense: mit # '
    made = Encoder(encoder.backbone, encoder.preprocessing, Origin(name, licence="a: b\n---"))
    folder = save(made, tmp_path / "odd")
    attach_reports(folder, [report_of(folder, make_report)])
    data = ModelCard.load(folder / "README.md").data
    assert (data.license, data.license_name, data.model_name) == ("other", "a: b\n---", name)
    assert load(folder).name == name


@pytest.mark.parametrize(
    ("parent", "base"),
    [
        ("timm/resnet50.a1_in1k", "timm/resnet50.a1_in1k"),
        (f"owner/name@v1 (weights {'a' * 64})", "owner/name"),
        (f"moco_v2_200 (weights {'a' * 64})", None),
        ("https://download.pytorch.org/models/resnet50.pth", None),
    ],
)
def test_the_parent_is_named_and_is_the_hubs_base_model_where_it_is_a_repository(
    parent: str, base: str | None, encoder: Encoder, tmp_path: Path
):
    made = Encoder(encoder.backbone, encoder.preprocessing, Origin("adapted", parent=parent))
    folder = save(made, tmp_path / "adapted")
    assert f"| from | {parent} |" in (folder / "README.md").read_text()
    assert ModelCard.load(folder / "README.md").data.base_model == base
