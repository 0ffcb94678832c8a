"""The rules of the house that no other tool watches; import-linter watches the layers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "cdrkit"
MODULES = sorted(SRC.rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def is_own(node: ast.AST) -> bool:
    """Return whether *node* imports from cdrkit."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] == "cdrkit"
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "cdrkit" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
class TestModule:
    """Each module of the package."""

    def test_imports_cdrkit_at_its_top_only(self, path: Path) -> None:
        """No function imports cdrkit: the layers that import-linter draws are all there is."""
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]
        hidden = [ast.unparse(node) for function in functions for node in ast.walk(function) if is_own(node)]
        assert hidden == []

    def test_says_what_it_is_and_offers(self, path: Path) -> None:
        """A module has a docstring and an ``__all__``."""
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree)
        assigned = {
            ast.unparse(target)
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        }
        assert "__all__" in assigned

    def test_is_no_drawer(self, path: Path) -> None:
        """A module is named after what it holds, and stays small enough to be read at once."""
        assert path.stem.strip("_") not in {"utils", "helpers", "common", "core", "base"}
        assert len(path.read_text().splitlines()) <= 550
