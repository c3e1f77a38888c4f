"""The rules of the house: who may import whom, what importing costs, what the wheel contains."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

COMPONENTS = ("hub", "pretrain", "transfer", "export")
REPOSITORY = Path(__file__).parents[1]
HOMES = {  # an optional or heavy package -> the modules, or rooms, that alone may import it
    "detectron2": {"transfer.detectron2_engine"},
    "faster_coco_eval": {"transfer.datasets.masks", "transfer.evaluation.coco"},
    "datasets": {"hub.sources.hugging_face"},
    "faiss": {"export.nearest"},
    "onnx": {"export.onnx"},
    "onnxruntime": {"hub.onnx_runtimes", "export.onnx"},
    "openvino": {"hub.onnx_runtimes"},
    "huggingface_hub": {"hub.remote"},
    "jinja2": {"hub.output.templates"},
    "prometheus_client": {"export.service.metrics"},
    "starlette": {"hub.web", "hub.server", "export.service"},
    "ray": {"export.embedding.cluster"},
    "numba": {"pretrain.views.kernels"},
    "simplejpeg": {"pretrain.data.plain_jpeg"},
    "mlflow": {"hub.output.mlflow_board"},
    "tensorboard": {"hub.output.tensorboard"},
    "uvicorn": {"hub.web"},
    "wandb": {"hub.output.wandb_board"},
}
BY_STRING = {  # a module that reaches another component by its name -> which names
    "hub.cli": {"pretrain", "transfer", "export"},  # the table COMMANDS
}


@dataclass(frozen=True)
class Module:
    """One file of a component; `name` is dotted from the component on: "pretrain.training.loop"."""

    name: str
    path: Path

    @property
    def component(self) -> str:
        return self.name.split(".")[0]

    @property
    def package(self) -> list[str]:
        parts = self.name.split(".")
        return parts if self.path.name == "__init__.py" else parts[:-1]


def modules(folders: dict[str, Path] | None = None) -> list[Module]:
    """Every module of the components, in sub-folders too."""
    found = []
    for component, folder in (folders or {name: _folder(name) for name in COMPONENTS}).items():
        for path in sorted(folder.rglob("*.py")):
            parts = [component, *path.relative_to(folder).with_suffix("").parts]
            found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def _folder(component: str) -> Path:
    return Path(import_module(f"goodviews.{component}").__file__ or "").parent


def imports(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """What a file imports, in functions too, with the statement: "hub.errors" for our own, "torch.nn" for others'.

    Of `from x import y` both x and x.y are given, since y may be a module.
    """
    for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.removeprefix("goodviews."), node
        elif isinstance(node, ast.ImportFrom):
            base = module.package[: len(module.package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module.removeprefix("goodviews.").split(".") if node.module else [])])
            yield stem, node
            for alias in node.names:
                yield f"{stem}.{alias.name}".removeprefix("."), node


def names_in_strings(module: Module) -> Iterator[str]:
    """Our own modules, or the heavy packages', that a string names as `import_module` would take it."""
    ours = re.compile(r"goodviews\.((?:hub|pretrain|transfer|export)[\w.]*)(?::\w+)?")
    for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = ours.fullmatch(node.value)
            if match:
                yield match[1]


def broken_import_rules(found: list[Module]) -> list[str]:
    """A sentence for every import that the house forbids."""
    wrong = []
    for module in found:
        for target, _ in imports(module):
            other = target.split(".")[0]
            if other in COMPONENTS and other not in (module.component, "hub"):
                wrong.append(f"{module.name} imports {target}")
            if other in HOMES and not _is_at_home(module.name, HOMES[other]):
                wrong.append(f"{module.name} imports {target}")
        for target in names_in_strings(module):
            other = target.split(".")[0]
            if other not in (module.component, "hub") and other not in BY_STRING.get(module.name, ()):
                wrong.append(f"{module.name} names {target} in a string")
    return sorted(set(wrong))


def _is_at_home(name: str, homes: set[str]) -> bool:
    return any(name == home or name.startswith(home + ".") for home in homes)


def import_circles(found: list[Module]) -> list[list[str]]:
    """Groups of modules that import each other, in functions too, but not for the type checker only."""
    names = {module.name for module in found}
    edges: dict[str, set[str]] = {}
    for module in found:
        skipped = set(_for_type_checking(module))
        edges[module.name] = {
            target for target, node in imports(module) if target in names and ast.dump(node) not in skipped
        } - {module.name, *_packages_above(module.name)}
    return [group for group in _strongly_connected(edges) if len(group) > 1]


def _packages_above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _for_type_checking(module: Module) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (ast.dump(inner) for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom))


def _strongly_connected(edges: dict[str, set[str]]) -> list[list[str]]:
    """Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(edges.get(name, ())):
            if target not in index:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == index[name]:
            at = stack.index(name)
            groups.append(sorted(stack[at:]))
            del stack[at:]

    for name in sorted(edges):
        if name not in index:
            visit(name)
    return groups


def test_hub_imports_no_component_the_others_only_hub_and_heavy_libraries_stay_at_home():
    assert broken_import_rules(modules()) == []


def test_no_modules_import_each_other_in_a_circle():
    assert import_circles(modules()) == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("from ...transfer.task import Task", "pretrain.training.planted imports transfer.task"),
        ("from ...transfer import task", "pretrain.training.planted imports transfer"),
        ("import faiss", "pretrain.training.planted imports faiss"),
        ("def f():\n    import onnxruntime.tools", "pretrain.training.planted imports onnxruntime.tools"),
        ("X = 'goodviews.export.index'", "pretrain.training.planted names export.index in a string"),
        ("X = 'goodviews.export.index:load'", "pretrain.training.planted names export.index in a string"),
    ],
)
def test_a_file_planted_in_a_room_that_breaks_the_rules_is_found(tmp_path: Path, line: str, sentence: str):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "planted.py").write_text(line + "\n")
    assert sentence in broken_import_rules(modules({"pretrain": tmp_path}))


def test_a_circle_through_a_room_is_found_and_a_type_checkers_import_is_none(tmp_path: Path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("from . import b\n")
    (tmp_path / "room" / "b.py").write_text("def f():\n    from ..c import x\n")
    (tmp_path / "c.py").write_text("from .room.a import y\n")
    (tmp_path / "d.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .e import z\n")
    (tmp_path / "e.py").write_text("from .d import w\n")
    assert import_circles(modules({"hub": tmp_path})) == [["hub.c", "hub.room.a", "hub.room.b"]]


@pytest.mark.skipif(not (REPOSITORY / "pyproject.toml").is_file(), reason="runs in a clone: it reads pyproject.toml")
def test_the_wheel_lists_every_package_folder_and_every_data_file():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    tracked = [REPOSITORY / component for component in COMPONENTS]
    folders = {init.parent for root in tracked for init in root.rglob("__init__.py")}
    assert sorted(settings["packages"]) == sorted(
        "goodviews." + ".".join(folder.relative_to(REPOSITORY).parts) for folder in folders
    )
    for root in tracked:
        code = {path.parent for path in root.rglob("*.py")}
        assert code <= folders, f"without __init__.py: {code - folders}"
        patterns = settings["package-data"][f"goodviews.{root.name}"]
        listed = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
        present = {path for path in root.rglob("*") if path.is_file() and path.suffix != ".py"}
        present = {path for path in present if path.parent.name != "__pycache__"}
        assert present - listed == set()


def test_nothing_unpickles_unsafely_or_loads_weights_loosely():
    for module in modules():
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            where = f"{module.name}:{node.lineno}"
            for option, forbidden in (("weights_only", False), ("strict", False)):
                value = options.get(option)
                if option == "strict" and called != "load_state_dict":
                    continue
                assert not (isinstance(value, ast.Constant) and value.value is forbidden), (
                    f"{where}: {option}={forbidden}"
                )
            if called == "load" and ast.unparse(node.func) == "torch.load":
                assert "weights_only" in options, f"{where}: torch.load without weights_only=True"
            assert ast.unparse(node.func) not in {"pickle.load", "pickle.loads", "pickle.Unpickler"}, where


def loose_unpicklers(found: list[Module]) -> list[str]:
    """Classes that unpickle: all but the one whose `find_class` looks names up in a fixed table."""
    loose = []
    for module in found:
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "pickle":
                loose.append(f"{module.name} imports names out of pickle")
            if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases):
                methods = [ast.unparse(method) for method in node.body if isinstance(method, ast.FunctionDef)]
                is_fixed = (
                    len(methods) == 1 and "find_class" in methods[0] and "_PICKLE_GLOBALS[module, name]" in methods[0]
                )
                if module.name != "hub.importers.read_file" or not is_fixed or "super" in methods[0]:
                    loose.append(f"{module.name} unpickles in {node.name}")
    return loose


def test_the_one_unpickler_knows_a_fixed_table_of_names():
    assert loose_unpicklers(modules()) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\nclass Own(pickle.Unpickler):\n    pass\n",
        "from pickle import loads\n",
        "import pickle\nclass Own(pickle._Unpickler):\n    def find_class(self, m, n): return getattr(m, n)\n",
    ],
)
def test_an_unpickler_that_is_planted_is_found(tmp_path: Path, code: str):
    (tmp_path / "planted.py").write_text(code)
    assert len(loose_unpicklers(modules({"hub": tmp_path}))) == 1


def test_each_component_has_types_for_its_users():
    for component in COMPONENTS:
        assert (_folder(component) / "py.typed").is_file()


def test_nothing_generic_is_claimed_at_the_top_level_of_the_environment():
    from importlib.metadata import packages_distributions

    claimed = {name for name, owners in packages_distributions().items() if "goodviews" in owners}
    assert {name for name in claimed if not name.startswith(("goodviews", "__editable__"))} == set()


@pytest.mark.parametrize(
    "module", ["hub", "hub.cli", "hub.onnx_encoder", "hub.photo_encoder", "pretrain.commands", "export"]
)
def test_light_modules_import_without_torch(module: str):
    assert loaded_by(f"import goodviews.{module}") & {"torch", "timm", "torchvision", "pydantic"} == set()


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
    assert loaded_by(code) & {"torch", "numpy", "PIL", "timm", "pydantic"} == set()


def by_locale(tree: ast.AST) -> list[int]:
    """The lines that read or write text in the encoding of the locale; the linter sees built-in `open`."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or any(word.arg == "encoding" for word in call.keywords):
            continue
        mode = call.args[0] if call.args else ast.Constant("r")  # of open; a path or position is no constant
        is_text_mode = isinstance(mode, ast.Constant) and "b" not in str(mode.value)
        missing = {"read_text": not call.args, "write_text": len(call.args) == 1, "open": is_text_mode}
        found += [call.lineno] if missing.get(call.func.attr) else []
    return found


def test_text_files_are_utf8_whatever_the_locale():
    assert {
        module.name: lines for module in modules() if (lines := by_locale(ast.parse(module.path.read_bytes())))
    } == {}
    for line in ("p.read_text()", "p.write_text('a')", "p.open('w')", "p.open()", "f(p.open('a', newline=''))"):
        assert by_locale(ast.parse(line)) == [1], line
    for line in ("p.read_text('utf-8')", "p.open('rb')", "p.open('w', encoding='utf-8')", "write_text(p, 'a')"):
        assert by_locale(ast.parse(line)) == [], line


def test_only_the_terminal_that_escapes_names_prints():
    for module in modules():
        if module.name != "hub.output.terminal":
            assert "rich.console.Console" not in {target for target, _ in imports(module)}, module.name


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
