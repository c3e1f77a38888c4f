"""Serve an index and ask it from a program, over HTTP: needs pip install ".[serve]"

    python examples/query_service.py OUT [PHOTOS] [QUERY]

The client is plain Python without goodviews; any language can do the same. The service describes itself at /api.
"""

import json
import re
import subprocess
import sys
import urllib.request
from importlib.resources import files
from pathlib import Path

BUNDLED = Path(str(files("goodviews.hub"))) / "photos"
GOODVIEWS = (sys.executable, "-m", "goodviews.hub")  # as `goodviews` on the command line


def main(
    out: Path, photos: Path = BUNDLED / "val", query: Path = BUNDLED / "train/raccoon/raccoon-1.jpg"
) -> list[dict]:
    """Print and return the five nearest photos that the service names; it is stopped at the end."""
    build = ["index", "build", "--encoder", "goodviews:mini", "--images", photos, "--out", out / "index"]
    subprocess.run([*GOODVIEWS, *map(str, build)], check=True)
    serve = [*GOODVIEWS, "serve", str(out / "index"), "--port", "0"]  # any port that is free
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            address = next(re.findall(r"http://[\w.:]+", line)[0] for line in service.stdout if "http://" in line)
            matches = search(address, query)
        finally:
            service.terminate()
    for match in matches:
        print(f"{match['similarity']:.3f}  {match['path']}")
    return matches


def search(address: str, photo: Path, k: int = 5) -> list[dict]:
    """What the service finds for a photo; the body of the request is the file as it is."""
    with urllib.request.urlopen(f"{address}/search?k={k}", data=photo.read_bytes(), timeout=60) as answer:
        return json.load(answer)["matches"]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
