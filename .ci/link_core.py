"""Link into another environment what goodviews requires without extras, and what that requires, from this environment.

    python .ci/link_core.py SITE_PACKAGES

So an environment as `pip install .` makes it takes no second copy of torch: whatever only an extra brings is absent.
"""

import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> None:
    """Link the top of every package and of its metadata."""
    target = Path(sys.argv[1])
    for found in required_by("goodviews"):
        tops = {path.parts[0] for path in found.files or [] if path.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            link = target / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))


def required_by(root: str) -> list[Distribution]:
    """All distributions that `root` needs, one by one, without itself."""
    seen: set[tuple[str, str]] = set()
    found: dict[str, Distribution] = {}
    waiting = [(root, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found[name] = distribution(name)
        for text in found[name].requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                other = canonicalize_name(requirement.name)
                waiting += [(other, ""), *((other, each) for each in requirement.extras)]
    return [each for name, each in found.items() if name != root]


if __name__ == "__main__":
    main()
