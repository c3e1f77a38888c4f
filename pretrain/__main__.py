"""`python -m goodviews.pretrain RECIPE --data DIR --out RUN`: `goodviews pretrain` as torchrun starts it."""

import sys

from ..hub.cli import main

if __name__ == "__main__":
    main(["pretrain", *sys.argv[1:]])
