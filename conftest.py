"""Every Python example of README, documentation and docstrings is a test; hypothesis' profiles."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from doctest import ELLIPSIS
from pathlib import Path

import pytest
from hypothesis import settings
from sybil import Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.example import NotEvaluated
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

SRC = Path(__file__).parent / "src"

# How long an example takes says nothing about whether it is right.
settings.register_profile("usual", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("usual")


class InstalledDocStrings(PythonDocStringDocument):
    """The docstrings of a module; its examples see the names of the installed module, not those of the file."""

    def import_document(self, example: Example) -> None:
        """Import what is installed, once, before the first example."""
        parts = Path(self.path).relative_to(SRC).with_suffix("").parts
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        self.namespace.update(vars(module))
        self.pop_evaluator(self.import_document)
        raise NotEvaluated


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give each document an empty folder to work in, and an empty home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(tmp_path_factory.mktemp("document"))
        yield Path.cwd()


pytest_collect_file = (
    Sybil(
        parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
        pattern="*.md",
        fixtures=["workplace"],
    )
    + Sybil(
        parsers=[DocTestParser(optionflags=ELLIPSIS)],
        path="src",
        pattern="*.py",
        document_types={".py": InstalledDocStrings},
        fixtures=["workplace"],
    )
).pytest()
