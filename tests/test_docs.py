"""The documentation: what is written in it is run, or known not to be."""

from __future__ import annotations

import codeop
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
RUN = {"python"}
SHOWN = {"sh", "text", "json", "csv", "toml"}
DIRECTIVES = {"{eval-rst}", "{include}", "{toctree}", "{warning}", "{note}"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_of_a_known_kind(page: Path) -> None:
    """A fenced block names a language that is run here, or one that is only shown: none escapes by a typing error."""
    fences = re.findall(r"^ *(?:`{3,}|~{3,})(.*)$", page.read_text(), re.MULTILINE)
    opening = fences[::2]
    assert len(fences) % 2 == 0
    assert {line.split(" ")[0] for line in opening} <= RUN | SHOWN | DIRECTIVES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_can_be_pasted(page: Path) -> None:
    """A block can be pasted at Python's prompt, which ends a compound statement at an empty line and nowhere else.

    What begins with the name of a file belongs there; what has prompts shows what was typed.
    """
    for block in re.finditer(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = block[1].splitlines()
        if re.match(r">>> |# \w+\.py$", lines[0]):
            continue
        typed: list[str] = []
        for line in [*lines, ""]:  # the empty one is the key that whoever pasted it presses
            typed.append(line)
            if codeop.compile_command("\n".join(typed), str(page), "single") is not None:
                typed = []
        assert not typed
