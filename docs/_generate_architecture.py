"""Write explanation/architecture.md from the source: `python docs/_generate_architecture.py`. A test compares them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["page"]

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "cdrkit"
HEAD = """\
# Architecture

This page lists the packages and modules of cdrkit, layer by layer, from top to bottom. A module imports only from
its own package and from the layers below it. Packages of one layer do not import each other. A linter checks
both rules. The reasons are in the [decision on the package structure](decisions/001-package-structure.md).

A package whose name begins with an underscore is private: use the public names of the [reference](../reference/api.md).
The [glossary](../reference/glossary.md) explains the terms. `docs/_generate_architecture.py` writes this page from the
first lines of the docstrings and from the layers in `pyproject.toml`.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD, f"\n## The package itself\n\n{_table(['cdrkit'], [SRC / '__init__.py'])}"]
    for number, layer in enumerate(layers(), 1):
        parts.append(f"\n## Layer {number}: {', '.join(f'`{name}`' for name in layer)}\n")
        parts += [_section(name) for name in layer]
    return "".join(parts)


def layers() -> list[list[str]]:
    """Return the packages of each layer, top to bottom, from the import contract of the whole package."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [
        contract
        for contract in contracts
        if contract["type"] == "layers" and contract.get("containers") == ["cdrkit"]
    ]
    # "a | b" are packages of one layer; "(a)" is one that may be absent.
    named = [re.split(r"\s*[|:]\s*", layer) for layer in contract["layers"]]
    return [[name.strip("() ") for name in names if _exists(name.strip("() "))] for names in named]


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring, read without importing the module."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _exists(name: str) -> bool:
    return (SRC / name).is_dir() or (SRC / f"{name}.py").is_file()


def _section(name: str) -> str:
    """Return the part of the page about one package, or about one module of the top level."""
    module = SRC / f"{name}.py"
    if module.is_file():
        return f"\n{_table([name], [module])}"
    folder = SRC / name
    paths = [folder / "__init__.py", *_modules(folder)]
    names = [".".join(path.relative_to(SRC).with_suffix("").parts) for path in paths]
    return f"\n{_table([name.removesuffix('.__init__') for name in names], paths)}"


def _modules(folder: Path) -> Iterator[Path]:
    """Yield the modules below *folder* by name, each package before its own modules."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.suffix == ".py" and path.name != "__init__.py":
            yield path
        elif (path / "__init__.py").is_file():
            yield path / "__init__.py"
            yield from _modules(path)


def _table(names: list[str], paths: list[Path]) -> str:
    rows = [("Module", "Purpose"), ("---", "---")]
    rows += [(f"`{name}`", first_line(path)) for name, path in zip(names, paths, strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    (ROOT / "docs" / "explanation" / "architecture.md").write_text(page())
