"""`python -m goodviews.transfer knn --encoder …` is `goodviews transfer knn --encoder …`."""

import sys

from ..hub.cli import main

if __name__ == "__main__":
    main(["transfer", *sys.argv[1:]])
