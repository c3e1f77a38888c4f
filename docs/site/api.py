"""The API reference: a page for each component with everything that it offers by name, read from the code.

The code of the four folders is copied below build/api/goodviews, where mkdocstrings reads it: it knows no namespace
that is spread over folders.
"""

import shutil
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[2]
COMPONENTS = ("hub", "pretrain", "transfer", "export")
PACKAGES = {
    "hub": "Encoders, photos and reports: what everything else stands on.",
    "pretrain": "Recipes, and the run that trains an encoder by one.",
    "transfer": "Tasks that measure an encoder, and what fine-tuning leaves.",
    "export": "ONNX files and the image index.",
    "export.index": "The image index: opened, searched, and what it says of its photos.",
}
PARTS = {  # of a recipe; their own pages, since whoever writes one needs them
    "views": ("goodviews.pretrain.views.view", "goodviews.pretrain.views.operations"),
    "objectives": ("goodviews.pretrain.objective", "goodviews.pretrain.models.losses"),
    "optimizers": ("goodviews.pretrain.models.optimizers", "goodviews.pretrain.models.schedules"),
    "memories": ("goodviews.pretrain.models.ema", "goodviews.pretrain.models.queue"),
}


def on_startup(command: str, dirty: bool) -> None:
    """Copy the code before mkdocstrings looks where it is: a folder that it does not find then, it never reads."""
    copied = REPOSITORY / "build" / "api" / "goodviews"
    shutil.rmtree(copied, ignore_errors=True)
    for name in COMPONENTS:
        for file in (REPOSITORY / name).rglob("*.py"):
            place = copied / file.relative_to(REPOSITORY)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation."""
    assert config.nav
    entry = next(item for item in config.nav if "Reference" in item)
    pages = [{f"goodviews.{name}": f"api/{name}.md"} for name in PACKAGES]
    parts = [{f"Recipes: {name}": f"api/{name}.md"} for name in PARTS]
    entry["Reference"].append({"Python": [*pages, *parts]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the pages; mkdocstrings fills them."""
    for name, text in PACKAGES.items():
        public = sorted(import_module(f"goodviews.{name}").__all__, key=lambda each: (each[0].isupper(), each.lower()))
        lines = [f"# goodviews.{name}", "", text, "", *(f"::: goodviews.{name}.{each}\n" for each in public)]
        files.append(File.generated(config, f"api/{name}.md", content="\n".join(lines)))
    for name, modules in PARTS.items():
        lines = [f"# Parts of a recipe: {name}", "", *(f"::: {module}\n" for module in modules)]
        files.append(File.generated(config, f"api/{name}.md", content="\n".join(lines)))
    return files
