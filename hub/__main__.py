"""`python -m goodviews.hub` is the front door `goodviews`."""

from .cli import main

main()
