"""The public API: the names of the package, their pages, and the cost of their import."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import runpy
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import cdrkit
from cdrkit import errors

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODULES = ("errors", "reports", "samples", "sources", "storage", "testing", "viewer")
ERRORS = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]


def headings(page: str) -> list[str]:
    """Return the second-level headings of a page of the documentation."""
    return re.findall(r"^## `?(\w+)`?$", (DOCS / page).read_text(), re.MULTILINE)


def run_python(code: str, *words: str) -> str:
    """Run *code* in a new process, and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class TestNames:
    """The names of ``cdrkit``."""

    def test_all_is_what_is_public(self) -> None:
        """``dir(cdrkit)`` shows ``__all__`` and the public modules, and nothing else without an underscore."""
        shown = [name for name in run_python("import cdrkit; print(*dir(cdrkit))").split() if name[0] != "_"]
        tools = {"annotations", "importlib", "TYPE_CHECKING", "Final"}
        assert set(shown) - tools == {*cdrkit.__all__, *MODULES}

    def test_table_and_checkers_agree(self) -> None:
        """The imports for type checkers repeat the table of lazy names."""
        tree = ast.parse(Path(str(cdrkit.__file__)).read_text())
        block = next(node for node in tree.body if isinstance(node, ast.If))
        imports = {
            alias.name: node.module
            for node in ast.walk(block)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert imports == {**cdrkit._MODULES, **dict.fromkeys(MODULES, "cdrkit")}
        assert sorted(cdrkit._MODULES) == sorted(cdrkit.__all__)

    def test_each_resolves(self) -> None:
        """Every public name and module resolves at its first use, and is the one of its module."""
        for name, module in cdrkit._MODULES.items():
            assert getattr(cdrkit, name) is getattr(importlib.import_module(module), name)
        for name in MODULES:
            code = f"import cdrkit; print(cdrkit.{name}.__name__)"
            assert run_python(code) == f"cdrkit.{name}"

    def test_unknown_names(self) -> None:
        """An unknown name is an AttributeError, and an ImportError on import."""
        with pytest.raises(AttributeError, match="has no attribute 'open_stor'"):
            cdrkit.open_stor  # type: ignore[attr-defined]  # noqa: B018
        with pytest.raises(ImportError, match="open_stor"):
            from cdrkit import open_stor  # type: ignore[attr-defined]  # noqa: F401

    def test_public_modules(self) -> None:
        """Few modules are public: every other one begins with an underscore, or is the command line."""
        folder = Path(str(cdrkit.__file__)).parent
        paths = [path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        assert {path.stem for path in paths if path.stem[0] != "_"} == {*MODULES, "cli"}

    def test_they_are_few(self) -> None:
        """Fifty names at most."""
        assert len(cdrkit.__all__) <= 50

    def test_each_has_a_docstring(self) -> None:
        """Every class and function has a docstring."""
        values = {name: getattr(cdrkit, name) for name in cdrkit.__all__ if not name.isupper()}
        silent = [name for name, value in values.items() if not value.__doc__]
        assert [name for name in silent if typing.get_origin(values[name]) is not typing.Literal] == []


def public_objects() -> dict[int, str]:
    """Return the path of each object that has a public path, by its identity."""
    paths: dict[int, str] = {}
    for module in ("cdrkit", *(f"cdrkit.{name}" for name in MODULES)):
        for name in importlib.import_module(module).__all__:
            paths.setdefault(id(getattr(importlib.import_module(module), name)), f"{module}.{name}")
    return paths


def named_types(annotation: object, namespace: dict[str, object]) -> Iterator[type]:
    """Yield the classes of cdrkit that an annotation names; a quoted alias is read, too."""
    if isinstance(annotation, str):
        for node in ast.walk(ast.parse(annotation, mode="eval")):
            if isinstance(node, ast.Name) and node.id in namespace:
                yield from named_types(namespace[node.id], namespace)
    elif isinstance(annotation, typing.ForwardRef):
        yield from named_types(annotation.__forward_arg__, namespace)
    elif isinstance(annotation, list):  # the parameters of a Callable
        for part in annotation:
            yield from named_types(part, namespace)
    elif typing.get_origin(annotation) is not None:
        for part in typing.get_args(annotation):
            if not isinstance(part, str):  # of a Literal
                yield from named_types(part, namespace)
    elif (
        isinstance(annotation, type)
        and annotation.__module__.partition(".")[0] == "cdrkit"
        # Any object that has its methods is of a protocol.
        and (not getattr(annotation, "_is_protocol", False) or annotation is cdrkit.storage.Tier)
    ):
        yield annotation


def list_annotations(path: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the annotations of a public function; of a class, those of its documented attributes and its methods."""
    if inspect.isclass(value):
        documented = inspect.getdoc(value) or ""
        for name, annotation in inspect.get_annotations(value).items():
            if re.search(rf"^ +{name}:", documented, re.MULTILINE):
                yield f"{path}.{name}", annotation
        for name, member in vars(value).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function) and name[0] != "_":
                yield from list_annotations(f"{path}.{name}", function)
    elif inspect.isfunction(value):
        for name, annotation in inspect.get_annotations(value).items():
            yield f"{path}({name})", annotation


def test_every_documented_type_has_a_public_path() -> None:
    """A class that the signature or an attribute of a public name mentions can be imported from a public module."""
    paths = public_objects()
    shared: dict[str, object] = {}
    for name, module in sys.modules.items():
        if name.startswith("cdrkit."):
            shared |= vars(module)
    hidden = [
        f"{path}: {kind.__module__}.{kind.__qualname__}"
        for module in ("cdrkit", *(f"cdrkit.{name}" for name in MODULES))
        for name in importlib.import_module(module).__all__
        for path, annotation in list_annotations(name, getattr(importlib.import_module(module), name))
        for kind in named_types(annotation, shared)
        if id(kind) not in paths
    ]
    assert sorted(set(hidden)) == []


@pytest.mark.parametrize(
    ("function", "parameter", "alias"),
    [
        (cdrkit.Store.ingest, "format", "FormatName"),
        (cdrkit.Store.follow, "format", "FormatName"),
        (cdrkit.sources.make_source, "name", "FormatName"),
        (cdrkit.sources.find_factory, "name", "FormatName"),
        (cdrkit.sources.Detected, "format", "FormatName"),
        (cdrkit.Store.scoped, "hide", "FieldName"),
        (cdrkit.Store.scoped, "mask", "FieldName"),
        (cdrkit.Result.viewer, "columns", "FieldName"),
        (cdrkit.DisplaySettings, "columns", "FieldName"),
        (cdrkit.DisplaySettings.within, "fields", "FieldName"),
        (cdrkit.Query.columns, "names", "FieldName"),
    ],
)
def test_names_are_completed_by_editors(
    function: typing.Callable[..., object], parameter: str, alias: str
) -> None:
    """A parameter that takes the name of a field or a format says so in its type, and takes other text, too."""
    annotation = inspect.signature(function).parameters[parameter].annotation
    assert f"{alias} | str" in str(annotation)


def test_signatures_name_no_private_alias() -> None:
    """A choice of words is spelled out in a signature, or its alias can be imported from a public module."""
    aliases = {
        name
        for module in [module for name, module in sys.modules.items() if name.startswith("cdrkit.")]
        for name, value in vars(module).items()
        if name[0] != "_" and typing.get_origin(value) is typing.Literal
    }
    public = {
        name
        for module in ("cdrkit", *(f"cdrkit.{name}" for name in MODULES))
        for name in importlib.import_module(module).__all__
    }
    hidden = [
        f"{path}: {annotation}"
        for module in ("cdrkit", *(f"cdrkit.{name}" for name in MODULES))
        for name in importlib.import_module(module).__all__
        for path, annotation in list_annotations(name, getattr(importlib.import_module(module), name))
        if isinstance(annotation, str) and {*re.findall(r"\w+", annotation)} & (aliases - public)
    ]
    assert hidden == []


class TestPages:
    """The reference pages."""

    def test_every_extension_is_listed(self) -> None:
        """docs/reference lists each public name of the modules for extensions."""
        text = "".join((DOCS / "reference" / page).read_text() for page in ("api.md", "extend.md"))
        names = {
            f"cdrkit.{module}.{name}"
            for module in ("reports", "samples", "sources", "storage", "testing", "viewer")
            for name in importlib.import_module(f"cdrkit.{module}").__all__
            if name not in cdrkit.__all__
        }
        assert [name for name in sorted(names) if not re.search(rf":: {re.escape(name)}\b", text)] == []

    def test_every_name_has_a_section(self) -> None:
        """docs/reference/api.md has one section a name, and none besides."""
        assert sorted(headings("reference/api.md")) == sorted(cdrkit.__all__)

    def test_fields_are_as_in_the_catalogue(self) -> None:
        """docs/reference/fields.md is what its generator makes of FIELDS now."""
        generator = runpy.run_path(str(DOCS / "_generate_fields.py"))
        assert (DOCS / "reference" / "fields.md").read_text() == generator["page"]()


class TestErrors:
    """The tree that is drawn in ``cdrkit.errors``, and shown on its page."""

    def test_the_tree_is_the_truth(self) -> None:
        """Every class is drawn once, below its parent, with the built-in class that it also is."""
        line = re.compile(r"^( *[│├└─ ]*)(\w+Error)(?: \((\w+)\))?", re.MULTILINE)
        drawn: dict[str, tuple[str, ...]] = {}
        above: list[str] = []
        for marks, name, also in line.findall(errors.__doc__ or ""):
            depth = (len(marks) - 4) // 4
            above[depth:] = [name]
            drawn[name] = tuple(filter(None, [above[depth - 1] if depth else "Exception", also]))
        assert drawn == {error.__name__: tuple(base.__name__ for base in error.__bases__) for error in ERRORS}
        assert sorted(drawn) == sorted(errors.__all__)

    def test_the_page_shows_it(self) -> None:
        """docs/reference/errors.md takes tree and classes from the module."""
        assert ".. automodule:: cdrkit.errors" in (DOCS / "reference" / "errors.md").read_text()


class TestImports:
    """The modules that an import and the command line load."""

    def test_import_loads_no_dependency(self) -> None:
        """``import cdrkit`` loads the standard library only."""
        code = """
import sys
before = set(sys.modules)
import cdrkit
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*(name for name in sorted(names) if name not in sys.stdlib_module_names))
print(*(name for name in sorted(sys.modules) if name.startswith("cdrkit.")))
"""
        assert run_python(code) == "cdrkit"

    def test_opening_a_store_loads_no_network_stack(self) -> None:
        """A local store leaves out the modules that only some calls need."""
        heavy = ("s3fs", "aiohttp", "botocore", "pandas", "pyarrow.dataset", "IPython", "click", "rich")
        code = "import cdrkit, sys; cdrkit.open_store('memory://x').count(); print(*sys.modules)"
        assert set(heavy) & set(run_python(code).split()) == set()

    @pytest.mark.parametrize("words", [["--version"], ["--help"], ["query", "--help"], ["demo", "--help"]])
    def test_help_is_light(self, words: list[str]) -> None:
        """The version and the help of the command line load neither Polars nor made-up data."""
        pytest.importorskip("click")
        code = """
import sys
from cdrkit.cli import main
try:
    main()
except SystemExit as exc:
    assert not exc.code
print()
print(*sys.modules)
"""
        loaded = run_python(code, *words).splitlines()[-1].split()
        assert {"cdrkit", "click"} <= set(loaded)
        heavy = {"polars", "pyarrow", "cdrkit.samples", "cdrkit.storage", "pendulum", "fsspec"}
        assert heavy & set(loaded) == set()
