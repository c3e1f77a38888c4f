"""Every task by its name on the command line. Imports no torch."""

from collections.abc import Callable
from difflib import get_close_matches

from ..hub.errors import UsageError
from .classification.cached_probe import linear_cached
from .classification.copy_detection import retrieval_copies
from .classification.few_shot import few_shot_5way_1shot, few_shot_5way_5shot, few_shot_5way_20shot
from .classification.fine_tune import finetune, finetune_1pct, finetune_10pct
from .classification.knn import knn
from .classification.linear import linear
from .classification.retrieval import retrieval
from .classification.sgd_probe import linear_clsa, linear_moco, linear_pycontrast, linear_simclr
from .classification.voc07_clsa import voc07_clsa
from .classification.voc07_map import voc07_map, voc07_map_logistic
from .detection.coco import (
    coco_c4_1x,
    coco_c4_2x,
    coco_fpn_1x,
    coco_fpn_2x,
    coco_fpn_6x,
    coco_fpn_std_1x,
    coco_fpn_std_2x,
    coco_fpn_std_6x,
    with_short_budgets,
)
from .detection.voc import voc_detection, voc_detection_smoke, voc_detection_tenth
from .task import Task, command_name

_TABLE: tuple[Callable[[], Task], ...] = (
    knn,
    linear,
    linear_cached,
    linear_pycontrast,
    linear_moco,
    linear_clsa,
    linear_simclr,
    few_shot_5way_1shot,
    few_shot_5way_5shot,
    few_shot_5way_20shot,
    retrieval,
    retrieval_copies,
    finetune,
    finetune_1pct,
    finetune_10pct,
    voc07_map,
    voc07_map_logistic,
    voc07_clsa,
    voc_detection,
    voc_detection_tenth,
    voc_detection_smoke,
    *with_short_budgets(
        coco_c4_1x,
        coco_c4_2x,
        coco_fpn_1x,
        coco_fpn_2x,
        coco_fpn_6x,
        coco_fpn_std_1x,
        coco_fpn_std_2x,
        coco_fpn_std_6x,
    ),
)
TASKS: dict[str, Callable[[], Task]] = {command_name(make): make for make in _TABLE}
SHORT_BUDGETS = ("-tenth", "-smoke")  # ends of the names of a task on a short budget


def find_task(name: str) -> Task:
    """The task that `TASKS` has under a name, or whose protocol has it, alone or with the end of a short budget.

    Raises:
        UsageError: there is none.
    """
    names = {make().name: called for called, make in TASKS.items()} | {called: called for called in TASKS}
    whole = whole_task(name)
    if whole in names:
        called = names[whole] + name.removeprefix(whole)
        if called in TASKS:
            return TASKS[called]()
    near = ", ".join(get_close_matches(name, TASKS, n=4, cutoff=0.4))
    raise UsageError(f"There is no task {name}; {f'there is {near}; ' if near else ''}`goodviews tasks` lists all.")


def whole_task(name: str) -> str:
    """A task's name without the end of a short budget."""
    return next((name.removesuffix(end) for end in SHORT_BUDGETS if name.endswith(end)), name)
