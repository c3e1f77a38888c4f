import ast
from importlib import import_module
from pathlib import Path

import pytest

COMPONENTS = ("hub", "pretrain", "transfer", "export")


@pytest.fixture(params=COMPONENTS)
def component(request):
    return import_module(f"goodviews.{request.param}")


def typed_names(package) -> dict[str, str]:
    """Name -> relative module of what a package imports for type checkers, as itself, so that it is re-exported."""
    tree = ast.parse(Path(package.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    aliases = [("." * node.level + node.module, alias) for node in block.body for alias in node.names]
    assert all(alias.name == alias.asname for _, alias in aliases)
    return {alias.name: module for module, alias in aliases}


def test_type_checkers_see_every_public_name_from_where_it_is_imported(component):
    typed = typed_names(component)
    assert sorted(typed) == component.__all__ == dir(component)
    for name, module in typed.items():
        assert getattr(component, name) is getattr(import_module(module, component.__name__), name)


def test_a_name_that_a_package_lacks_is_an_attribute_error(component):
    with pytest.raises(AttributeError, match=f"module '{component.__name__}' has no attribute 'abacus'"):
        component.abacus  # noqa: B018
