"""A resolved recipe as the rows of a table: a part in a line, with all its settings."""

from collections.abc import Mapping
from typing import Any

_ELSEWHERE = ("type", "name", "views")  # the recipe's own name stands above the table, its views get rows of their own


def recipe_rows(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values in the order of the recipe, the views first; what is None is left out.

    Args:
        recipe: as config.json records it; a part is {"type": its class, **settings}.
    """
    views = recipe.get("views")
    rows = [(f"view {_view_name(view, number)}", _view(view)) for number, view in enumerate(_list(views), start=1)]
    rest = {name: value for name, value in recipe.items() if name not in _ELSEWHERE and value is not None}
    return rows + [(name.replace("_", " "), _text(value)) for name, value in rest.items()]


def _view_name(view: Any, number: int) -> str:
    return str(view.get("name", number)) if isinstance(view, Mapping) else str(number)


def _view(view: Any) -> str:
    """The crop and then each operation of the program, in their order."""
    if not isinstance(view, Mapping):
        return _text(view)
    rest = {key: value for key, value in view.items() if key not in ("type", "name", "crop", "program")}
    steps = [view.get("crop"), *_list(view.get("program")), *([rest] if rest else [])]
    return "; ".join(_text(step) for step in steps if step is not None)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        fields = [
            f"{key.replace('_', ' ')} {_text(item)}"
            for key, item in value.items()
            if key != "type" and item is not None
        ]
        name = str(value.get("type", ""))
        return f"{name} ({', '.join(fields)})" if name and fields else name or ", ".join(fields)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    return str(value)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
