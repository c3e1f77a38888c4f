"""What is public: the names that packages offer, the parts of which users write their own, commands, recipes, tasks.

python docs/site/public.py

writes docs/public.txt, which tests/test_public.py compares with the code: whoever changes a public name sees the line.
"""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from cyclopts import Parameter

from goodviews.hub import cli

LIST = Path(__file__).parents[1] / "public.txt"
HEAD = """# Public names. Where a line goes away or changes, CHANGELOG.md says so and CONTRIBUTING.md how it may.
# Written by docs/site/public.py.
"""
PACKAGES = {
    "hub": "Encoders, photos and reports: what everything else stands on.",
    "pretrain": "Recipes, and the run that trains an encoder by one.",
    "transfer": "Tasks that measure an encoder, and what fine-tuning leaves.",
    "export": "ONNX files and the image index.",
    "export.index": "The image index: opened, searched, and what it says of its photos.",
}
PARTS = {  # pages of modules: for whoever writes a recipe, an importer, or a program around an index
    "Recipes: views": (
        "goodviews.pretrain.views.view",
        "goodviews.pretrain.views.operations",
        "goodviews.pretrain.views.change",
    ),
    "Recipes: objectives": ("goodviews.pretrain.objective", "goodviews.pretrain.models.losses"),
    "Recipes: optimizers": ("goodviews.pretrain.models.optimizers", "goodviews.pretrain.models.schedules"),
    "Recipes: memories": (
        "goodviews.pretrain.models.memory",
        "goodviews.pretrain.models.ema",
        "goodviews.pretrain.models.queue",
    ),
    "Recipes: MoCo": ("goodviews.pretrain.recipes.moco",),
    "Importers": ("goodviews.hub.importers.layout",),
    "Vectors and indexes": ("goodviews.export.embedding.vector_files", "goodviews.export.index.build"),
}


def main() -> None:
    """Write the list."""
    LIST.write_text(text(), encoding="utf-8")


def text() -> str:
    """The whole list."""
    return HEAD + "".join(f"{line}\n" for line in lines())


def lines() -> Iterator[str]:
    """Python names with their parameters, commands with their options, recipes and tasks."""
    seen: set[type] = set()  # a class that two packages offer has its methods listed once
    for path, value in names():
        yield path + (_parameters(value) if callable(value) else "")
        if inspect.isclass(value) and value not in seen:
            seen.add(value)
            yield from _members(path, value)
    yield from (_command(words) for words in cli.COMMANDS)
    yield from (f"recipe {name}" for name in import_module("goodviews.pretrain").RECIPES)
    yield from (f"task {name}" for name in import_module("goodviews.transfer").TASKS)


def names() -> Iterator[tuple[str, Any]]:
    """Every public name of Python, with its value."""
    packages = [import_module(f"goodviews.{package}") for package in PACKAGES]
    modules = [import_module(each) for part in PARTS.values() for each in part]
    offers = [(each, each.__all__) for each in packages] + [(each, own_names(each)) for each in modules]
    yield from ((f"{module.__name__}.{name}", getattr(module, name)) for module, found in offers for name in found)


def own_names(module: Any) -> list[str]:
    """The classes and functions that a module defines for others."""
    found = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return sorted(name for name in found if name[0] != "_" and callable(getattr(module, name)))


def _members(path: str, kind: type) -> Iterator[str]:
    for name, member in sorted(vars(kind).items()):
        if name[0] != "_" and isinstance(member, FunctionType | classmethod | staticmethod):
            yield f"{path}.{name}{_parameters(getattr(member, '__func__', member))}"
        elif name[0] != "_" and isinstance(member, property):
            yield f"{path}.{name}"


def _parameters(value: Any) -> str:
    """(a, b=, *, c): names, which may be left out, and which must be named."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:
        return ""
    words, is_named = [], False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not is_named:
            is_named = True
            words.append("*")
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        words.append(stars + each.name + ("" if each.default is each.empty or stars else "="))
        is_named |= each.kind is each.VAR_POSITIONAL
    return f"({', '.join(words)})"


def _command(words: str) -> str:
    app = cli._app(words.split())
    for word in words.split():
        app = app[word]
    app.default_parameter = Parameter(negative=())
    names = [name for argument in app.assemble_argument_collection() for name in argument.names]
    return " ".join(["goodviews", words, *(name for name in names if name != "*")])


if __name__ == "__main__":
    main()
