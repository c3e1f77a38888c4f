"""What `goodviews tasks` prints: every task, those that read the same data in one table."""

import inspect
from collections.abc import Callable

from rich.markup import escape
from rich.table import Table

from .task import Task
from .tasks import SHORT_BUDGETS, TASKS, whole_task


def task_tables() -> list[Table]:
    """A table for each layout of data; tasks on a short budget stand beside the whole task."""
    tables: dict[str, Table] = {}
    for name, make in TASKS.items():
        if whole_task(name) != name:
            continue
        task = make()
        if task.layout not in tables:
            tables[task.layout] = _table_of_tasks(task.layout)
        protocol = f" (protocol {task.name})" if task.name != name else ""
        facts = escape(f"Fine-tunes {task.fine_tuned}; {task.metric}{protocol}")
        short = "\n".join(name + end for end in SHORT_BUDGETS if name + end in TASKS)
        names = f"{name}\n[dim]{short}[/]" if short else name
        tables[task.layout].add_row(names, f"{escape(_summary(make))}\n[dim]{facts}[/]")
    return list(tables.values())


def _table_of_tasks(layout: str) -> Table:
    table = Table("task", "what it is", title=escape(f"Reads {layout}"), title_justify="left", show_lines=True)
    table.columns[0].no_wrap = True
    return table


def _summary(make: Callable[[], Task]) -> str:
    """The first paragraph of a task's docstring."""
    return " ".join((inspect.getdoc(make) or "").split("\n\n")[0].split())
