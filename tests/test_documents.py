"""The documents a reader opens first say what is true of the tree."""

import ast
import re
from pathlib import Path

import pytest

from .scripts import load_script

REPOSITORY = Path(__file__).parents[1]
COMPONENTS = ("hub", "pretrain", "transfer", "export")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "MODEL_CARD.md")
OURS = r"(?:hub|pretrain|transfer|export|tests|benchmarks|docs|\.ci)/"

pytestmark = pytest.mark.skipif(not (REPOSITORY / "README.md").is_file(), reason="runs in a clone: it reads documents")


def paths_in(text: str) -> set[str]:
    """The paths of this repository that a document names: behind a link, or beginning with one of our folders."""
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target}
    named = re.findall(rf"(?<![\w/.-]){OURS}[\w./-]*", text)
    return linked | {path.rstrip(".") for path in named}


def rooms() -> list[Path]:
    return sorted(init.parent for component in COMPONENTS for init in (REPOSITORY / component).glob("*/__init__.py"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document):
    paths = paths_in((REPOSITORY / document).read_text(encoding="utf-8"))
    assert paths
    assert sorted(path for path in paths if not (REPOSITORY / path).exists()) == []


def test_a_path_that_is_gone_is_seen_and_a_users_own_folder_is_no_path_of_ours():
    text = (
        "`hub/cli.py`, hub/gone.py. See [a card](MODEL_CARD.md#limits), [arXiv](https://arxiv.org/1), demo/transfer/knn"
    )
    assert paths_in(text) == {"hub/cli.py", "hub/gone.py", "MODEL_CARD.md"}


@pytest.mark.parametrize("room", rooms(), ids=lambda room: f"{room.parent.name}/{room.name}")
def test_every_room_says_in_one_to_three_lines_what_is_in_it(room):
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert 1 <= len([line for line in text.splitlines() if line]) <= 3


def floors(component: str) -> list[list[str]]:
    """The rooms and files on each floor of a component, from the top, as ARCHITECTURE.md lists them."""
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split(f"| `{component}/`: floor |")[1].split("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    return [[path.rstrip("/") for path in re.findall(r"`([^`]+)`", line)] for line in lines]


def test_the_architecture_places_every_room_on_a_floor():
    placed = {path for component in COMPONENTS for floor in floors(component) for path in floor}
    assert [room.relative_to(REPOSITORY).as_posix() for room in rooms()] == sorted(
        path for path in placed if not path.endswith(".py")
    )


@pytest.mark.parametrize("component", COMPONENTS)
def test_no_file_imports_from_a_floor_above_its_own(component):
    level = {path: number for number, floor in enumerate(floors(component)) for path in floor}
    upward = []
    for file in sorted((REPOSITORY / component).rglob("*.py")):
        own = place_of(file, level)
        for target in imported_files(file):
            above = place_of(target, level)
            if own and above and level[above] < level[own]:
                upward.append(f"{file.relative_to(REPOSITORY)} imports {target.relative_to(REPOSITORY)}")
    assert upward == []


def place_of(file: Path, level: dict[str, int]) -> str | None:
    """The room or file of the architecture's tables that a file belongs to."""
    path = file.relative_to(REPOSITORY)
    return next((place for place in (path.as_posix(), path.parent.as_posix()) if place in level), None)


def imported_files(file: Path) -> list[Path]:
    """The files of this repository that a file imports relatively, in functions too, but not for types only."""
    found = []
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    checks = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {id(inner) for check in checks for statement in check.body for inner in ast.walk(statement)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_types:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            candidates = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            found += [candidate for candidate in candidates if candidate.is_file()]
    return found


def test_the_list_of_public_names_is_that_of_the_code():
    public = load_script(REPOSITORY / "docs" / "site" / "public.py")
    listed, found = public.LIST.read_text(encoding="utf-8").splitlines(), public.text().splitlines()
    gone = [line for line in listed if line not in found]
    new = [line for line in found if line not in listed]
    assert (gone, new) == ([], []), "a public name changed: python docs/site/public.py, and say so in CHANGELOG.md"
    assert listed == found


def test_the_changelog_is_for_readers():
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, *released = re.split(r"^## \[\d", text, flags=re.MULTILINE)
    assert released, "no version is cut"
    assert "## [Unreleased]" in unreleased
    assert [line for line in text.splitlines() if len(line) > 120] == []
    assert all(len(version.splitlines()) <= 100 for version in released)
    headings = re.findall(r"^### (.*)$", unreleased, re.MULTILINE)
    assert len(headings) == len(set(headings)), "a merge doubled a heading"
