"""Links of the site: documents and examples become pages of it, and a link to any other file of the code plain text.

The same Markdown reads well in a checkout, where each link goes to the file, and in the site, which holds no code.
"""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = {  # a document of the repository -> its page, its name in the navigation
    "ARCHITECTURE.md": ("project/architecture.md", "Architecture"),
    "CONTRIBUTING.md": ("project/contributing.md", "Contributing"),
    "MODEL_CARD.md": ("project/model-card.md", "Model card"),
    "CHANGELOG.md": ("project/changelog.md", "Changelog"),
    "SECURITY.md": ("project/security.md", "Security"),
    "CODE_OF_CONDUCT.md": ("project/conduct.md", "Conduct"),
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the documents into the navigation, and every page of docs/ that mkdocs.yml does not place."""
    assert config.nav
    sections = {title: entry for entry in config.nav for title in entry}
    sections["Project"]["Project"] += [{title: page} for page, title in DOCUMENTS.values()]
    placed = set(re.findall(r"[\w./-]+\.md", str(config.nav)))
    docs = Path(config.docs_dir)
    found = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    for page in (page for page in found if page not in placed):
        section = "Results" if page.startswith("results/") else "Guides"
        sections[section][section].append(page)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents as pages, and a page with the code of each example."""
    for name, (page, _) in DOCUMENTS.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for script in sorted((REPOSITORY / "examples").glob("*.py")):
        text = f"# {script.name}\n\n```python\n{script.read_text(encoding='utf-8')}```\n"
        files.append(File.generated(config, f"examples/{script.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point every relative link at a page or file of the site, or make it plain text."""
    here = page.file.src_uri
    source = next(
        (REPOSITORY / name for name, (made, _) in DOCUMENTS.items() if made == here), Path(config.docs_dir, here)
    )
    markdown = markdown.replace("<details>", '<details markdown="1">')  # else what is folded stays as it was typed
    code = re.split(r"(^```.*?^```|`[^`\n]+`)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if i % 2 else LINK.sub(lambda m: _link(m, source, here, files), part) for i, part in enumerate(code)
    )


def _link(match: re.Match[str], source: Path, here: str, files: Files) -> str:
    picture, text, target = match.groups()
    path, _, anchor = target.partition("#")
    if "://" in target or target.startswith("mailto:") or not path:
        return match[0]
    found = files.get_file_from_path(_in_site((source.parent / path).resolve(), here, path))
    if found is None:
        if not (source.parent / path).exists():
            return match[0]  # mkdocs warns of it
        return text
    relative = os.path.relpath(found.src_uri, Path(here).parent).replace(os.sep, "/")
    return f"{picture}[{text}]({relative}{'#' + anchor if anchor else ''})"


def _in_site(target: Path, here: str, path: str) -> str:
    """Where the site has a file of the repository; what is made for the site only is found by its own path."""
    if target.is_relative_to(REPOSITORY / "docs"):
        name = target.relative_to(REPOSITORY / "docs").as_posix()
        return f"{name}/README.md" if target.is_dir() else name
    name = target.relative_to(REPOSITORY).as_posix() if target.is_relative_to(REPOSITORY) else ""
    if name.startswith("examples/"):
        return name.removesuffix("py") + "md"
    return DOCUMENTS[name][0] if name in DOCUMENTS else name
