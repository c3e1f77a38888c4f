"""The API reference: a page for each component with everything that it offers by name, read from the code.

The code of the four folders is copied below build/api/goodviews, where mkdocstrings reads it: it knows no namespace
that is spread over folders.
"""

import shutil
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from public import PACKAGES, PARTS  # beside this file: mkdocs puts a hook's folder onto the path

REPOSITORY = Path(__file__).parents[2]
COMPONENTS = ("hub", "pretrain", "transfer", "export")


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
    parts = [{name: f"api/{_slug(name)}.md"} for name in PARTS]
    entry["Reference"].append({"Python": [*pages, *parts]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the pages; mkdocstrings fills them."""
    for name, text in PACKAGES.items():
        public = sorted(import_module(f"goodviews.{name}").__all__, key=lambda each: (each[0].isupper(), each.lower()))
        lines = [f"# goodviews.{name}", "", text, "", *(f"::: goodviews.{name}.{each}\n" for each in public)]
        files.append(File.generated(config, f"api/{name}.md", content="\n".join(lines)))
    for name, modules in PARTS.items():
        lines = [f"# {name}", "", *(f"::: {module}\n" for module in modules)]
        files.append(File.generated(config, f"api/{_slug(name)}.md", content="\n".join(lines)))
    return files


def _slug(name: str) -> str:
    return name.rpartition(": ")[2].lower().replace(" ", "-")
