"""Stop unless wheel and sdist hold what they must, and nothing else, and are no larger than they may be.

    python .ci/assert_dist.py DIST

Prints both sizes.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

COMPONENTS = ("hub", "pretrain", "transfer", "export")
LARGEST_MB = {"wheel": 10, "sdist": 20}


def main() -> None:
    """Compare with what git knows of the tree."""
    dist = Path(sys.argv[1])
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = {name for name in tracked if name.split("/")[0] in COMPONENTS}
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
    installed = {name.removeprefix("goodviews/") for name in found}
    problems = [f"the wheel has {name}, which is not ours" for name in sorted(installed - ours)]
    problems += [f"the wheel lacks {name}" for name in sorted(ours - installed)]
    with tarfile.open(sdist) as file:
        in_sdist = {name.partition("/")[2] for name in file.getnames()}
    problems += [f"the sdist lacks {name}" for name in tracked if name not in in_sdist]
    for kind, path in (("wheel", wheel), ("sdist", sdist)):
        size_mb = path.stat().st_size / 1e6
        print(f"{kind}: {size_mb:.1f} MB")
        if size_mb > LARGEST_MB[kind]:
            problems.append(f"the {kind} has {size_mb:.1f} MB, more than {LARGEST_MB[kind]}")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
