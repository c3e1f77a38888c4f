"""All commands of `goodviews demo`, and its page, with a few epochs of pretraining: for what they import.

python .ci/short_demo.py OUT
"""

import sys
from dataclasses import replace
from pathlib import Path

from goodviews.hub.demo import chain


def main() -> None:
    """Run the demo with a shorter first training."""
    whole = chain.steps

    def shorter(out: Path) -> list[chain.Step]:
        return [
            replace(step, argv=tuple("12" if word == chain.EPOCHS else word for word in step.argv))
            for step in whole(out)
        ]

    chain.steps = shorter
    chain.demo(out=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
