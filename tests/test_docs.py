"""The documentation: its examples run or are listed as not run, and generated pages are up to date."""

from __future__ import annotations

import ast
import codeop
import re
import runpy
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
    """A block can be pasted at Python's prompt, which ends a compound statement only at an empty line.

    A block that begins with a file's name belongs into that file. A block with prompts is already a session.
    """
    for block in re.finditer(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = block[1].splitlines()
        if re.match(r">>> |# \w+\.py$", lines[0]):
            continue
        typed: list[str] = []
        for line in [*lines, ""]:  # a user presses Enter once more after pasting
            typed.append(line)
            if codeop.compile_command("\n".join(typed), str(page), "single") is not None:
                typed = []
        assert not typed


def test_the_architecture_is_that_of_the_source() -> None:
    """docs/explanation/architecture.md lists the packages and modules of the source, with their first lines."""
    generator = runpy.run_path(str(ROOT / "docs" / "_generate_architecture.py"))
    assert (ROOT / "docs" / "explanation" / "architecture.md").read_text() == generator["page"](), (
        "Run `python docs/_generate_architecture.py`."
    )


def test_every_page_is_in_the_index() -> None:
    """docs/index.md lists every page, so that none is left out of the navigation."""
    listed = set(re.findall(r"^([\w/-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE))
    listed |= {
        f"explanation/{name}"
        for name in re.findall(
            r"^(decisions/[\w-]+)$", (ROOT / "docs/explanation/design.md").read_text(), re.MULTILINE
        )
    }
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in ROOT.glob("docs/**/*.md")}
    assert pages - listed == {"index"}


class TestCheckOfExamples:
    """docs/_check_examples.py, which the session `typing` runs: basedpyright is installed there only."""

    PAGE = """\
Some text.

```python
from __future__ import annotations
one = 1
```

% invisible-code-block: python
%
% two = 2

% skip: next "no such bucket"

```python
three = 3
```

% unchecked: shows an error
```python
four = 4
```

```python
>>> for number in (one, two):
...     print(number)
1
2
```

```sh
five
```
"""

    def code_of(self, page: str) -> str:
        """Return the code that the script takes from a page."""
        code: str = runpy.run_path(str(ROOT / "docs" / "_check_examples.py"))["code_of"](page)
        return code

    def test_takes_all_blocks_but_unchecked_ones(self) -> None:
        """Visible, hidden, skipped and typed code is taken; unchecked blocks, output and shell are not."""
        assert self.code_of(self.PAGE).split("\n") == [
            *[""] * 4, "one = 1", *[""] * 4, "two = 2", *[""] * 4, "three = 3", *[""] * 8,
            "for number in (one, two):", "    print(number)", *[""] * 8,
        ]  # fmt: skip

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_makes_a_file_of_each_page(self, page: Path) -> None:
        """The code of a page is valid Python, with a line for each line of the page."""
        code = self.code_of(page.read_text())
        ast.parse(code)
        assert code.count("\n") == len(page.read_text().splitlines())
