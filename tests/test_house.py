"""Rules of the code's structure that no linter checks; import-linter checks the layers, ruff the complexity."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src" / "cdrkit"
MODULES = sorted(SRC.rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MOST_LINES = 500
MOST_PARAMETERS = 7
#: Keyword-only options of the two functions that configure a store and a tenant; the value is their own limit.
MORE_PARAMETERS = {("_store/open.py", "open_store"): 9, ("_store/store.py", "scoped"): 9}
#: Packages in packages: a module of another part of the parent imports from these, too.
FACES = {"storage.log", "storage.indexes", "storage.tiers", "storage.append"}


#: Packages without a contract inside; decision 001 lists them.
UNORDERED = {"_runtime", "_text", "reports", "samples", "testing", "viewer"}
#: Packages without tests of their own, and the reason.
UNTESTED = {"sources/readers": "the tests of the sources that use the readers cover them"}


def is_own(node: ast.AST) -> bool:
    """Return whether *node* imports from cdrkit."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] == "cdrkit"
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "cdrkit" for alias in node.names)


def package_of(module: str) -> str:
    """Return the package whose names other packages import, for a module given without ``cdrkit.``."""
    for face in FACES:
        if module == face or module.startswith(f"{face}."):
            return face
    return module.split(".", maxsplit=1)[0]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many arguments *function* takes, without ``self``, ``*args`` and ``**kwargs``."""
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
class TestModule:
    """Each module of the package."""

    def test_imports_cdrkit_at_its_top_only(self, path: Path) -> None:
        """No function imports cdrkit: the layers that import-linter checks are complete."""
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]
        hidden = [ast.unparse(node) for function in functions for node in ast.walk(function) if is_own(node)]
        assert hidden == []

    def test_imports_nothing_of_cdrkit_for_type_checkers_only(self, path: Path) -> None:
        """Only the package itself imports cdrkit under ``TYPE_CHECKING``; elsewhere, such an import hides a cycle."""
        if path == SRC / "__init__.py":
            return
        blocks = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ]
        assert [ast.unparse(node) for block in blocks for node in ast.walk(block) if is_own(node)] == []

    def test_imports_by_absolute_names(self, path: Path) -> None:
        """An import has the full name of its module, so that a search finds every use."""
        tree = ast.parse(path.read_text())
        assert [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level] == []

    def test_imports_other_packages_by_their_face(self, path: Path) -> None:
        """A module imports from another package only the names that its ``__init__`` exports."""
        own = package_of(".".join(path.relative_to(SRC).with_suffix("").parts))
        inner = []
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cdrkit."):
                module = str(node.module).removeprefix("cdrkit.")
                if package_of(module) not in (own, module):
                    inner.append(ast.unparse(node))
        assert inner == []

    def test_has_a_docstring_and_all(self, path: Path) -> None:
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

    def test_is_small_and_named_by_its_topic(self, path: Path) -> None:
        """A module has a topic as its name, one underscore on top at most, and can be read at once."""
        *folders, _ = path.relative_to(SRC).parts
        assert path.stem not in {"utils", "helpers", "common", "core", "base"}
        assert path.stem == "__init__" or not path.stem.startswith("_")
        assert not any(folder.startswith("_") for folder in folders[1:])
        assert len(path.read_text().splitlines()) <= MOST_LINES

    def test_functions_take_few_parameters(self, path: Path) -> None:
        """A function takes seven arguments at most; a command of the CLI takes its options."""
        relative = str(path.relative_to(SRC))
        if relative.startswith("cli/"):
            return
        many = {
            node.name: parameters(node)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and parameters(node) > MORE_PARAMETERS.get((relative, node.name), MOST_PARAMETERS)
        }
        assert many == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_method_calls_a_function_of_its_own_name(path: Path) -> None:
    """A method and the module function that it calls have different names."""
    tree = ast.parse(path.read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    equal = [
        f"{owner.name}.{method.name}"
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef) and method.name in functions | imported
        for call in ast.walk(method)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == method.name
    ]
    assert equal == []


def test_each_package_has_a_contract_inside() -> None:
    """import-linter checks the layers inside each package that decision 001 does not exempt."""
    tools = tomllib.loads((SRC.parents[1] / "pyproject.toml").read_text())["tool"]
    contracts = [contract for contract in tools["importlinter"]["contracts"] if contract["type"] == "layers"]
    inside = {name.removeprefix("cdrkit.") for contract in contracts for name in contract["containers"]}
    packages = {path.parent.name for path in SRC.glob("*/__init__.py")}
    # The audio package is inside _recordings.
    assert inside == {"cdrkit", "_recordings.audio"} | packages - UNORDERED
    assert all(contract["exhaustive"] for contract in contracts)


def test_each_package_has_tests() -> None:
    """A package has a folder of tests; a package in a package has one, or a module in its parent's folder."""
    untested = set()
    for package in (path.parent.relative_to(SRC) for path in SRC.glob("**/*/__init__.py")):
        folder = TESTS.joinpath(*(part.removeprefix("_") for part in package.parts))
        modules = [*folder.glob("test_*.py")]
        if len(package.parts) > 1:
            modules += folder.parent.glob(f"test_{folder.name}*.py")
        if not modules:
            untested.add(package.as_posix())
    assert untested == set(UNTESTED)
