"""Print the oldest allowed version of each named dependency, as pip takes it: timm==1.0.21."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def main() -> None:
    """Read pyproject.toml, so that no version is written twice."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {each.name: each for each in map(Requirement, project["dependencies"])}
    for name in sys.argv[1:]:
        (oldest,) = (each.version for each in listed[name].specifier if each.operator == ">=")
        print(f"{name}=={oldest}")


if __name__ == "__main__":
    main()
