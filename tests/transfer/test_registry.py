import subprocess
import sys

import pytest

from goodviews.hub.errors import UsageError
from goodviews.transfer.registry import TASKS, find_task
from goodviews.transfer.task import Task


def test_a_task_is_called_as_its_protocol_which_names_no_other():
    names = {called: make().name for called, make in TASKS.items()}
    assert len(set(names.values())) == len(names)
    assert {called: name for called, name in names.items() if called != name} == {"voc-detection": "voc07+12-c4-24k"}


@pytest.mark.parametrize("end", ["", "-tenth", "-smoke"])
def test_a_task_is_found_by_the_name_of_its_protocol_too(end):
    assert find_task(f"voc07+12-c4-24k{end}") == find_task(f"voc-detection{end}")
    assert find_task(f"coco-fpn-1x{end}").name == f"coco-fpn-1x{end}"


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(UsageError, match="There is no task linear-mocco; there is linear-moco, "):
        find_task("linear-mocco")
    with pytest.raises(UsageError, match="There is no task knn-smoke; "):
        find_task("knn-smoke")


def test_a_change_shows_in_the_name_and_alters_the_protocol():
    plain, changed = find_task("knn"), find_task("knn").with_changes(["k=5"])
    assert changed.name == "knn [k=5]"
    assert (plain.protocol.settings["k"], changed.protocol.settings["k"]) == (20, 5)


@pytest.mark.parametrize(("words", "steps"), [("11,13", (11, 13)), ("[11, 13]", (11, 13)), ("11", (11,))])
def test_a_list_is_written_with_brackets_or_without(words, steps):
    assert find_task("voc-detection-smoke").with_changes([f"lr_steps={words}"]).measure.lr_steps == steps


def test_a_smoke_tasks_rate_is_that_of_its_batch_size():
    for name in ("voc-detection", "coco-c4-1x"):
        whole, smoke = find_task(name).measure, find_task(f"{name}-smoke").measure
        assert smoke.lr / smoke.batch_size == pytest.approx(whole.lr / whole.batch_size)


def test_every_task_tells_what_it_fine_tunes_and_reads():
    for make in TASKS.values():
        task = make()
        assert isinstance(task, Task)
        assert task.fine_tuned
        assert task.layout.startswith("DIR/")
        assert make.__doc__


def test_tasks_are_listed_without_torch():
    code = "import sys; from goodviews.transfer.listing import tasks; tasks(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False"
