"""A campaign of SIGKILLs over an embedding run: nothing may be lost, nothing doubled.

    python benchmarks/embed_kills.py --engine local --kills 20
    python benchmarks/embed_kills.py --engine ray --kills 3

A whole run is the reference. Then the same command is run with two workers, and again and again something of it is
killed: at "local" the whole run with its processes, at a random moment, to be started again; at "ray" an actor, which
Ray must replace. The file that comes out must equal the reference row by row.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from goodviews.export.embedding.vector_files import read_vectors

ACTOR = "Embedder"  # in the title of an actor's process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", required=True, help="photos, as goodviews embed takes them")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--part-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, out = Path(folder) / "whole.npy", Path(folder) / "vectors.npy"
        start(options, whole, processes=1, engine="local").wait()
        kill = kill_runs if options.engine == "local" else kill_actors
        killed = kill(options, out, random.Random(options.seed))
        compare(whole, out)
    print(f"{options.engine}: {killed} kills, no photo lost, none doubled, every vector equal")


def start(options: argparse.Namespace, out: Path, *, processes: int, engine: str) -> "subprocess.Popen[bytes]":
    """The run as a process with a group of its own."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom goodviews.export.embedding.embed import embed\n"
        "if __name__ == '__main__':\n"
        "    data, encoder, out, part_size, processes, engine = sys.argv[1:]\n"
        "    embed(data, encoder, Path(out), part_size=int(part_size), processes=int(processes), engine=engine)\n"
    )
    script = out.with_suffix(".py")
    script.write_text(code)
    words = [options.data, options.encoder, out, options.part_size, processes, engine]
    return subprocess.Popen([sys.executable, script, *map(str, words)], start_new_session=True)


def kill_runs(options: argparse.Namespace, out: Path, chance: random.Random) -> int:
    """Kill the run and all its processes after it has made a few parts more; start it again."""
    killed = 0
    while not out.exists():
        run, before = start(options, out, processes=2, engine="local"), parts(out)
        more = chance.randint(1, 3)
        while run.poll() is None and (killed >= options.kills or parts(out) < before + more):
            time.sleep(chance.uniform(0.005, 0.05))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        assert run.wait() in (0, -signal.SIGKILL), f"the run ended with status {run.returncode}"
    return killed


def kill_actors(options: argparse.Namespace, out: Path, chance: random.Random) -> int:
    """Kill single actors while the run goes on."""
    run, killed, before = start(options, out, processes=2, engine="ray"), 0, 0
    while run.poll() is None:
        time.sleep(0.05)
        actors = [process for process in psutil.process_iter(["name", "cmdline"]) if is_actor_of(process, run.pid)]
        if killed < options.kills and actors and parts(out) > before:
            before = parts(out) + chance.randint(0, 2)
            chance.choice(actors).kill()
            killed += 1
    assert run.returncode == 0, f"the run ended with status {run.returncode}"
    assert killed, "the run ended before an actor could be killed; give it more photos"
    return killed


def is_actor_of(process: psutil.Process, pid: int) -> bool:
    """Whether a process is an actor of the Ray that this run started."""
    title = " ".join(process.info["cmdline"] or [process.info["name"] or ""])
    try:
        return ACTOR in title and any(parent.pid == pid for parent in process.parents())
    except psutil.NoSuchProcess:
        return False


def parts(out: Path) -> int:
    return len(list(out.with_name(out.name + ".parts").glob("part-*.npz")))


def compare(whole: Path, out: Path) -> None:
    expected, found = read_vectors(whole), read_vectors(out)
    assert found.rows.paths == expected.rows.paths, "photos were lost, doubled or put in another order"
    assert len(set(found.rows.paths)) == len(found.rows.paths)
    assert found.rows.sha256 == expected.rows.sha256
    np.testing.assert_allclose(found.rows.vectors, expected.rows.vectors, atol=1e-5)


if __name__ == "__main__":
    main()
