"""The rules of the house: who may import whom, what importing costs, what the wheel claims."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

COMPONENTS = ("hub", "pretrain", "transfer", "export")
HOMES = {  # an optional or heavy package -> the only modules that may import it
    "detectron2": {"transfer.detectron2_engine"},
    "faster_coco_eval": {"transfer.masks", "transfer.coco_evaluation"},
    "datasets": {"pretrain.hugging_face"},
    "faiss": {"export.index"},
    "onnx": {"export.onnx_file", "export.quantize"},
    "onnxruntime": {"export.runtime", "export.quantize"},
    "huggingface_hub": {"hub.remote"},
    "starlette": {"export.app"},
    "tensorboard": {"pretrain.board"},
    "uvicorn": {"export.app"},
}


def modules() -> list[tuple[str, str, Path]]:
    found = []
    for component in COMPONENTS:
        folder = Path(import_module(f"goodviews.{component}").__file__ or "").parent
        found += [(component, path.stem, path) for path in sorted(folder.glob("*.py"))]
    return found


def imports(path: Path) -> list[str]:
    """Dotted names a file imports; relative ones start with their dots."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return names


def test_hub_imports_no_component_and_the_others_only_hub():
    wrong = []
    for component, name, path in modules():
        for target in imports(path):
            other = target.removeprefix("..").removeprefix("goodviews.").split(".")[0]
            crosses = target.startswith(("..", "goodviews."))
            if crosses and other != component and (component == "hub" or other != "hub"):
                wrong.append(f"{component}.{name} imports {target}")
    assert wrong == []


def test_each_optional_library_is_imported_in_the_one_module_named_for_it():
    wrong = []
    for component, name, path in modules():
        for target in imports(path):
            package = target.split(".")[0]
            if package in HOMES and f"{component}.{name}" not in HOMES[package]:
                wrong.append(f"{component}.{name} imports {target}")
    assert wrong == []


def test_nothing_unpickles_unsafely_or_loads_weights_loosely():
    for component, name, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            where = f"{component}.{name}:{node.lineno}"
            for option, forbidden in (("weights_only", False), ("strict", False)):
                value = options.get(option)
                if option == "strict" and called != "load_state_dict":
                    continue
                assert not (isinstance(value, ast.Constant) and value.value is forbidden), (
                    f"{where}: {option}={forbidden}"
                )
            if called == "load" and ast.unparse(node.func) == "torch.load":
                assert "weights_only" in options, f"{where}: torch.load without weights_only=True"
            assert ast.unparse(node.func) not in {"pickle.load", "pickle.loads"}, where


def test_each_component_has_types_for_its_users():
    for component in COMPONENTS:
        folder = Path(import_module(f"goodviews.{component}").__file__ or "").parent
        assert (folder / "py.typed").is_file()


def test_nothing_generic_is_claimed_at_the_top_level_of_the_environment():
    from importlib.metadata import packages_distributions

    claimed = {name for name, owners in packages_distributions().items() if "goodviews" in owners}
    assert {name for name in claimed if not name.startswith(("goodviews", "__editable__"))} == set()


@pytest.mark.parametrize("module", ["goodviews.hub", "goodviews.hub.cli", "goodviews.export.runtime"])
def test_light_modules_import_without_torch(module: str):
    assert loaded_by(f"import {module}") & {"torch", "timm", "torchvision"} == set()


def test_from_pretrained_costs_no_more_than_torch_and_timm():
    ours = loaded_by("from goodviews.hub import from_pretrained")
    theirs = loaded_by("import torch, torchvision, timm, timm.data")
    heavy = {
        name
        for name in ours - theirs
        if name in {"onnx", "faiss", "accelerate", "matplotlib", "transformers", "pandas"}
    }
    assert heavy == set()


def test_help_answers_without_any_heavy_library():
    code = """
import sys
from goodviews.hub.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
    assert loaded_by(code) & {"torch", "numpy", "PIL", "timm"} == set()


def test_every_command_of_the_front_door_leads_to_a_function():
    from goodviews.hub.cli import COMMANDS

    for target, _ in COMMANDS.values():
        module, name = target.split(":")
        assert callable(getattr(import_module(module), name)), target


def loaded_by(code: str) -> set[str]:
    """Top-level packages in sys.modules after running code in a fresh interpreter."""
    show = "\nimport sys; print('\\n' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", code + show], capture_output=True, text=True, check=True, timeout=120
    )
    return set(result.stdout.splitlines()[-1].split())
