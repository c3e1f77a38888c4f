"""`goodviews tasks`: which tasks there are, which one suits, and all of one."""

import inspect
import json as json_text
from collections.abc import Callable
from typing import Any

from rich.table import Table
from rich.text import Text

from ..hub.output.listing import names_with, table_of, table_of_advice
from ..hub.output.terminal import Terminal
from .registry import SHORT_BUDGETS, TASKS, whole_task
from .task import Task

FOR_DATA = (  # which data -> task, and why
    ("photos in a folder a class", "knn", "seconds; trains nothing, so it says most about the features"),
    ("the same, one number for a paper", "linear", "a linear layer on frozen features"),
    ("the same, few labels", "finetune-10pct", "the whole network on a tenth of the labels"),
    ("photos to search among", "retrieval", "how many neighbours are of the same class"),
    ("boxes in VOC's layout", "voc-detection", "a whole detector; hours, -tenth and -smoke are shorter"),
    ("boxes or masks in COCO's layout", "coco-fpn-1x", "a whole detector; days on one GPU"),
)


def tasks(filter: str = "", *, all: bool = False, json: bool = False) -> None:
    """List the tasks, those whose name holds a word, or all of one.

    Example: goodviews tasks voc

    Args:
        filter: A whole name shows that task with its settings; a part of one lists what has it.
        all: List tasks on a short budget too.
        json: Print JSON.
    """
    if filter in TASKS:
        _show(filter, as_json=json)
        return
    found = names_with(filter, TASKS, noun="task", command="tasks")
    listed = found if all else [name for name in found if whole_task(name) == name] or found
    if json:
        print(json_text.dumps([_summary(name) for name in listed], indent=2))
        return
    console = Terminal(highlight=False)
    for layout in dict.fromkeys(TASKS[name]().layout for name in listed):
        console.print(_table(layout, [name for name in listed if TASKS[name]().layout == layout]))
        console.print()
    if not filter:
        console.print(table_of_advice("Which one for my data?", "data", "task", "what it is", rows=FOR_DATA))
        console.print()
    if len(listed) < len(found):
        hidden = (
            f"{len(found) - len(listed)} tasks on a short budget ({', '.join(SHORT_BUDGETS)}) are not listed: --all."
        )
        console.print(f"{hidden} A task whole: goodviews tasks NAME.")


def _table(layout: str, names: list[str]) -> Table:
    table = table_of(f"Reads {layout}", "task", "fine-tunes", "measures")
    for name in names:
        task = TASKS[name]()
        protocol = f" (protocol {task.name})" if task.name != name else ""
        table.add_row(name, Text(task.fine_tuned), Text(f"{task.metric}{protocol}"))
    return table


def _show(name: str, *, as_json: bool) -> None:
    """One task whole: what it is, then the settings that fix its number."""
    if as_json:
        print(json_text.dumps(_summary(name) | {"settings": TASKS[name]().protocol.settings}, indent=2, default=str))
        return
    task = TASKS[name]()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    facts = {
        "task": name,
        "protocol": task.name,
        "data": task.layout,
        "fine-tunes": task.fine_tuned,
        "measures": task.metric,
    }
    for label, text in facts.items():
        table.add_row(label, Text(text))
    for label, value in _flat(task.protocol.settings):
        table.add_row(f"  {label}", Text(value))
    console = Terminal(highlight=False)
    console.print(_summary(name)["about"], markup=False)
    console.print(table)
    console.print("Settings are changed with --set NAME=VALUE, which makes another protocol.")


def _flat(settings: dict[str, Any], within: str = "") -> list[tuple[str, str]]:
    """Settings by the names that --set takes."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{within}{name}.")
        else:
            rows.append((f"{within}{name}", str(list(value) if isinstance(value, tuple) else value)))
    return rows


def _summary(name: str) -> dict[str, str]:
    task = TASKS[name]()
    return {
        "name": name,
        "protocol": task.name,
        "about": _paragraph(TASKS[name]),
        "data": task.layout,
        "fine_tunes": task.fine_tuned,
        "measures": task.metric,
    }


def _paragraph(make: Callable[[], Task]) -> str:
    """The first paragraph of a task's docstring."""
    return " ".join((inspect.getdoc(make) or "").split("\n\n")[0].split())
