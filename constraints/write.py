"""Write constraints/tested.txt: the version of every library that goodviews' extras bring into this environment.

    python constraints/write.py --detectron2 02b5c4e

Run it in the environment where the whole suite has just passed. Only what pyproject.toml's extras reach is listed.
"""

import argparse
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OUT = Path(__file__).parent / "tested.txt"


def main() -> None:
    """Follow the requirements of goodviews[test] and write what is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectron2", help="the commit that was tested, where detectron2 is installed")
    options = parser.parse_args()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    head = [f"# The suite passed with these, on Python {python} and {sys.platform}. Written by constraints/write.py."]
    if options.detectron2:
        head.append(f"# detectron2: facebookresearch/detectron2 at {options.detectron2}")
    OUT.write_text("\n".join([*head, *versions("goodviews[all,docs,mlflow,test,wandb]")]) + "\n", encoding="utf-8")


def versions(requirement: str) -> list[str]:
    """name==version of everything that the requirement reaches here, but for goodviews itself."""
    found: dict[str, str] = {}
    queue, seen = [Requirement(requirement)], set()
    while queue:
        wanted = queue.pop()
        key = (name := canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system or Python
        found[name] = installed.version
        queue += [each for each in map(Requirement, installed.requires or ()) if _applies(each, wanted.extras)]
    found.pop("goodviews")
    return [f"{name}=={found[name].partition('+')[0]}" for name in sorted(found)]


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


if __name__ == "__main__":
    main()
