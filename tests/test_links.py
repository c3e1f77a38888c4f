"""Every link of a document leads to something that exists, and every address outside the project is listed."""

import re
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LISTED = REPOSITORY / "docs" / "links.toml"
pytestmark = pytest.mark.skipif(
    not (LISTED.is_file() and (REPOSITORY / ".git").exists()), reason="runs in a clone: git lists the documents"
)

LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"{]+)\"")
ADDRESS = re.compile(r"https?://[^\s)>\]\"'`,;{}\\]+")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
OWN_LISTS = ("hub/photos/ATTRIBUTION.csv", "hub/catalogue/entries.toml", "docs/links.toml")  # with sources of their own
OUR_SIDE = re.compile(r"https?://(127\b|localhost|[\w.]*example\.\w+|www\.w3\.org/(1999|2000)/|$|\[)")
TEXTS = {".md", ".py", ".j2", ".toml", ".cff", ".yml", ".yaml", ".html", ".js", ".css", ".bib"}
MADE_FOR_THE_SITE = re.compile(r"(commands|api)/")  # mkdocs, which is strict, holds links to pages that it makes


def documents() -> list[Path]:
    """The Markdown that people read: documents of the root, the site's pages, cards and READMEs of folders."""
    found = subprocess.run(["git", "ls-files", "*.md"], cwd=REPOSITORY, capture_output=True, text=True)
    return [REPOSITORY / name for name in found.stdout.splitlines() if not name.startswith("tests/")]


def anchors(text: str) -> set[str]:
    """What a page can be entered at, as Python-Markdown and GitHub make it from headings."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in plain}


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of one."""
    text, dead = page.read_text(encoding="utf-8"), []
    for target in (markdown or html for markdown, html in LINK.findall(CODE.sub("", text))):
        if "://" in target or target.startswith("mailto:") or MADE_FOR_THE_SITE.match(target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        is_dead = not file.exists()
        if not is_dead and anchor and file.suffix == ".md":
            is_dead = anchor not in anchors(file.read_text(encoding="utf-8"))
        dead += [target] if is_dead else []
    return dead


def outside(text: str) -> set[str]:
    """The addresses that a text names on machines of others."""
    return {found.rstrip(".:*") for found in ADDRESS.findall(text) if not OUR_SIDE.match(found)}


def named() -> dict[str, list[str]]:
    """Every address outside the project -> the files that name it."""
    listing = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True).stdout.splitlines()
    files = [name for name in listing if Path(name).suffix in TEXTS and not name.startswith("tests/")]
    where: dict[str, list[str]] = {}
    for name in (name for name in files if name not in OWN_LISTS):
        for address in outside((REPOSITORY / name).read_text(encoding="utf-8")):
            where.setdefault(address, []).append(name)
    return where


def listed() -> dict[str, dict[str, str]]:
    return {entry["address"]: entry for entry in tomllib.loads(LISTED.read_text(encoding="utf-8"))["link"]}


def test_every_link_of_every_document_leads_to_a_file_and_a_heading():
    assert len(documents()) > 40
    dead = {page.relative_to(REPOSITORY).as_posix(): dead_links(page) for page in documents()}
    assert {page: found for page, found in dead.items() if found} == {}


def test_a_dead_link_and_a_dead_anchor_are_seen(tmp_path):
    (tmp_path / "other.md").write_text("# The `first` part\n")
    (tmp_path / "page.md").write_text(
        "# Here\n[a](gone.md) [b](other.md#the-first-part) [c](other.md#gone) [d](#here) `[e](code.md)` [f](#there)\n"
    )
    assert dead_links(tmp_path / "page.md") == ["gone.md", "other.md#gone", "#there"]


def test_every_address_outside_the_project_is_listed():
    known = listed()
    assert {address: files for address, files in named().items() if address not in known} == {}


def test_an_address_that_is_not_listed_is_seen():
    text = "see <https://new.org/page>. http://127.0.0.1:8000/x, https://photos.example.org"
    assert outside(text) == {"https://new.org/page"}


def test_every_listed_address_is_named_somewhere_and_says_what_it_is_and_when_it_was_read():
    assert sorted(set(listed()) - set(named())) == []
    for entry in listed().values():
        assert set(entry) == {"address", "what", "source", "read"}
        assert entry["what"]
        assert entry["source"]
        assert date.fromisoformat(entry["read"]) <= date.today()
