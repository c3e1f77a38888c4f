"""`python -m goodviews.export ENCODER --out DIR` is `goodviews export ENCODER --out DIR`."""

import sys

from ..hub.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
