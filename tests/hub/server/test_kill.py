"""A hub that is killed at any moment of a push has the repository as it was, or as it was to be."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from goodviews.hub.server.blobs import Blobs, digest

from ..running_hub import RunningHub
from .test_hostile import ask, commit, files, make_repo, small

PUSHES = 6


def test_a_killed_hub_has_whole_commits_only(start_hub: Callable[..., RunningHub], tmp_path: Path):
    root = tmp_path / "store"
    hub = start_hub(root)
    make_repo(hub, "killed")
    draw = random.Random(0)
    for number in range(PUSHES):
        before = files(hub, "killed")
        pushing = threading.Thread(target=push_pair, args=(hub, number))
        pushing.start()
        time.sleep(draw.uniform(0, 0.06))
        hub.process.send_signal(signal.SIGKILL)
        hub.process.wait()
        pushing.join()
        hub = start_hub(root)
        after = files(hub, "killed")
        assert after in (before, sorted([*before, f"{number}-a.bin", f"{number}-b.bin"]))
        assert list((root / "uploads").iterdir()) == []
        for blob in (root / "blobs").glob("??/*"):
            with blob.open("rb") as stream:
                assert digest(stream).sha256 == blob.name


def push_pair(hub: RunningHub, number: int) -> None:
    content = bytes([number]) * 400_000
    try:
        commit(hub, "killed", small(f"{number}-a.bin", content + b"a"), small(f"{number}-b.bin", content + b"b"))
    except OSError:
        pass  # the hub was killed before it answered
    except Exception as error:
        if "IncompleteRead" not in repr(error) and "RemoteDisconnected" not in repr(error):
            raise


def test_what_an_interrupted_upload_left_is_removed_at_the_next_start(tmp_path: Path):
    blobs = Blobs(tmp_path)
    code = "import sys; from pathlib import Path; from goodviews.hub.server.blobs import Blobs\n"
    code += "with Blobs(Path(sys.argv[1])).unfinished() as stream:\n"
    code += "    stream.write(b'half'); stream.flush(); print('written', flush=True); import time; time.sleep(60)\n"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    assert len(list((tmp_path / "uploads").iterdir())) == 1
    blobs.remove_unfinished()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_contents_that_no_commit_names_are_removed_at_the_next_start(
    start_hub: Callable[..., RunningHub], tmp_path: Path
):
    hub = start_hub(tmp_path / "store")
    make_repo(hub, "kept")
    commit(hub, "kept", small("x.txt", b"kept"))
    make_repo(hub, "gone")
    commit(hub, "gone", small("x.txt", b"gone"))
    ask(hub, "DELETE", "/api/repos/delete", b'{"name": "team/gone"}')
    hub.stop()
    hub = start_hub(tmp_path / "store")
    assert [blob.read_bytes() for blob in (tmp_path / "store" / "blobs").glob("??/*")] == [b"kept"]
    assert ask(hub, "GET", "/team/kept/resolve/main/x.txt")[2] == b"kept"
