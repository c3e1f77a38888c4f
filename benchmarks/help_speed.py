"""How soon the front door answers: processor seconds of `goodviews --help`, beside those of an empty Python.

    python benchmarks/help_speed.py [--rounds 5] [--out help.json]

Processor time of the process and its best round, so that a busy machine counts for little. Target: half a second.
That no heavy library is loaded on the way is a test of the suite; how long the rest takes is the machine's.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from goodviews.hub.reports.provenance import commit, hardware

COMMANDS = {"help": ["-m", "goodviews.hub", "--help"], "python": ["-c", ""]}


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    seconds = {name: [processor_seconds(words) for _ in range(given.rounds)] for name, words in COMMANDS.items()}
    best = {name: min(taken) for name, taken in seconds.items()}
    print(f"--help {best['help']:.2f} s, an empty Python {best['python']:.2f} s of processor time; {hardware()}")
    if given.out is not None:
        figures = {"seconds": seconds, "best": best, "hardware": hardware(), "commit": commit()}
        given.out.write_text(json.dumps(figures, indent=1), "utf-8")


def processor_seconds(words: list[str]) -> float:
    """Of a Python process that ran to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
