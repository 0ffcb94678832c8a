"""The rules of language: plain words in prose, nouns as modules, verbs as functions."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import pytest

ROOT: Final = Path(__file__).parents[1]
SRC: Final = ROOT / "src" / "cdrkit"
CODE: Final = sorted(
    [
        *SRC.rglob("*.py"),
        *ROOT.glob("benchmarks/**/*.py"),
        *ROOT.glob("examples/**/*.py"),
        # This file is absent: it lists these words.
        *(path for path in ROOT.glob("tests/**/*.py") if path != Path(__file__)),
        ROOT / "noxfile.py",
    ]
)
PAGES: Final = sorted(
    [
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
        # CONTRIBUTING.md is absent: it lists these words.
    ]
)

#: How often each word may occur. A limit may fall and never rise.
LIMITS: Final = {
    "tell": 0,
    "tells": 0,
    "told": 0,
    "whoever": 0,
    "whom": 0,
    "anew": 0,
    "mend": 0,
    "mends": 0,
    "mended": 0,
    "lest": 0,
    "for eyes": 0,
    "there is not": 0,
    "there are not": 0,
    "is none": 0,
    "are none": 0,
    "leave away": 0,
    "leaves away": 0,
}
#: A word that follows a dot or precedes a bracket is code: ``file.tell()``. So is "None" with a capital letter.
WORDS: Final = {
    word: re.compile(
        rf"(?<![\w.])[{word[0].upper()}{word[0]}]" + r"\s+".join(word[1:].split()) + r"(?![\w(])"
    )
    for word in LIMITS
}
#: What opens or closes a fenced block, and the language or directive behind it.
FENCE: Final = re.compile(r" *(`{3,}|~{3,})(.*)")
#: A code span: as many backticks on its right as on its left.
SPAN: Final = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)

#: Words that end like a gerund or a participle and are nouns or verbs of their own.
TERMS: Final = {
    "billing", "encoding", "mapping", "masking", "meaning", "recording", "ring", "routing", "signing", "string",
    "testing", "tiering", "bed", "embed", "exceed", "feed", "need", "proceed", "red", "seed", "shed", "speed",
}  # fmt: skip
#: Participles without -ed. Those that equal the imperative (put, read, set, split) are absent.
IRREGULAR: Final = {
    "begun", "bought", "brought", "built", "caught", "chosen", "done", "drawn", "driven", "felt",
    "forgotten", "found", "given", "gone", "grown", "heard", "held", "hidden", "kept", "known", "laid",
    "left", "lent", "lost", "made", "meant", "met", "paid", "proven", "said", "seen", "sent", "shown",
    "sold", "sought", "spent", "stood", "sworn", "taken", "taught", "thought", "told", "torn",
    "understood", "woken", "won", "worn", "woven", "written",
}  # fmt: skip
#: The part of all functions, in percent, that a participle may name.
PARTICIPLES: Final = 3

Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def python_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) for each comment and each string of Python source; comments of adjacent lines are one."""
    comments = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    joined: list[tuple[int, str]] = []
    for before, token in pairwise([None, *comments]):
        assert token is not None
        words = token.string.lstrip("#: ")
        if before is not None and before.start == (token.start[0] - 1, token.start[1]):
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {words}")
        else:
            joined.append((token.start[0], words))
    yield from joined
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def markdown_prose(text: str) -> str:
    """Return a page with blanks in place of its code: fenced blocks and spans between backticks.

    A directive, such as a note, holds prose.
    """
    lines, fence = [], ""
    for line in text.splitlines():
        opening = FENCE.fullmatch(line)
        is_code = bool(fence) and not fence.startswith("{")
        if opening and not fence:
            fence = opening[2].strip() or "text"
        elif opening and not opening[2].strip():
            fence = ""
        lines.append("" if is_code or opening else line)
    return SPAN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), "\n".join(lines))


def occurrences() -> dict[str, list[str]]:
    """Return the places, as ``path:line``, where each word stands in prose."""
    texts = [(path, line, text) for path in CODE for line, text in python_prose(path.read_text())]
    texts += [(path, 1, markdown_prose(path.read_text())) for path in PAGES]
    places: dict[str, list[str]] = {word: [] for word in LIMITS}
    for path, line, text in texts:
        for word, pattern in WORDS.items():
            for match in pattern.finditer(text):
                number = line + text.count("\n", 0, match.start())
                places[word].append(f"{path.relative_to(ROOT)}:{number}")
    return places


def definitions(path: Path) -> Iterator[Definition]:
    """Yield every class and function of a module, also those inside others."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Definition):
            yield node


def is_participle(word: str) -> bool:
    """Return whether *word* reads as a past participle."""
    return (word.endswith("ed") and word not in TERMS) or word in IRREGULAR


def is_gerund(word: str) -> bool:
    """Return whether *word* reads as a gerund."""
    return word.endswith("ing") and word not in TERMS


@pytest.fixture(scope="module")
def places() -> dict[str, list[str]]:
    """Give the places of each word, collected once."""
    return occurrences()


class TestWords:
    """The words of docstrings, comments, messages and pages."""

    @pytest.mark.parametrize("word", LIMITS)
    def test_occurs_no_more_often_than_its_limit(self, word: str, places: dict[str, list[str]]) -> None:
        """A word that a newcomer stumbles over is absent; CONTRIBUTING.md has a plain one for each."""
        assert len(places[word]) <= LIMITS[word], places[word]

    def test_finds_prose_only(self) -> None:
        """Comments, docstrings and messages are read; names, methods, code blocks and code spans are not."""
        source = (
            '"""He told\nher."""\ntold = file.tell()  # nothing to tell\nraise E(f"{told} is none of them")\n'
        )
        counts = Counter(
            word
            for _, text in python_prose(source)
            for word, pattern in WORDS.items()
            if pattern.search(text)
        )
        assert counts == {"told": 1, "tell": 1, "is none": 1}
        page = "Nobody told.\n\n```python\ntold = 1  # told\n```\n\nUse `told` or ``told``, anew.\n"
        assert [word for word, pattern in WORDS.items() if pattern.search(markdown_prose(page))] == [
            "told",
            "anew",
        ]
        assert len(WORDS["told"].findall(markdown_prose(page))) == 1

    def test_finds_a_phrase_across_lines(self) -> None:
        """A phrase that a line break divides is found, in pages and in comments of adjacent lines."""
        source = "# of these there is\n# not one\n"
        assert any(WORDS["there is not"].search(text) for _, text in python_prose(source))
        assert WORDS["for eyes"].search(markdown_prose("Text for\neyes.\n"))


class TestNames:
    """The names of modules and functions."""

    def test_modules_are_nouns(self) -> None:
        """No module or package is named by a gerund or a participle, unless that is a term of the field."""
        paths = [
            path
            for folder in (SRC, ROOT / "benchmarks")
            for path in folder.rglob("*")
            if path.suffix == ".py" or (path / "__init__.py").exists()
        ]
        nouns = {str(path.relative_to(ROOT)): path.stem.rpartition("_")[2] for path in paths}
        assert [path for path, noun in nouns.items() if is_gerund(noun) or is_participle(noun)] == []

    def test_classes_are_nouns(self) -> None:
        """No class ends in a gerund or a participle. ``Detected`` is public since the first version."""
        classes = {
            f"{path.relative_to(SRC)}: {node.name}": re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]", node.name)[
                -1
            ].lower()
            for path in sorted(SRC.rglob("*.py"))
            for node in definitions(path)
            if isinstance(node, ast.ClassDef) and node.name != "Detected"
        }
        assert [name for name, noun in classes.items() if is_gerund(noun) or is_participle(noun)] == []

    def test_functions_have_verbs(self) -> None:
        """Fewer than three functions in a hundred are named by a participle: ``checked_x`` is ``check_x``."""
        names = [
            f"{path.relative_to(SRC)}: {node.name}"
            for path in sorted(SRC.rglob("*.py"))
            for node in definitions(path)
            if not isinstance(node, ast.ClassDef)
        ]
        participles = [name for name in names if is_participle(name.split(": ")[1].strip("_").split("_")[0])]
        assert 100 * len(participles) < PARTICIPLES * len(names), participles
