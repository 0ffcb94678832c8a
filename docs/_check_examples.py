"""Check the types of the examples in README and documentation: `python docs/_check_examples.py`.

The Python blocks of a page become one file, because they share their names. Each line keeps its number, so that a
message names the line of the page. One call of basedpyright checks all files at its level "basic".

A block is left out if a comment with a reason precedes it: ``% unchecked: shows an error on purpose``. A block that no
test runs, because of ``% skip: next``, is checked nevertheless.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["check", "code_of"]

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "typeCheckingMode": "basic",
    "pythonVersion": "3.11",
    # A page may define the same name twice, and end a block with an expression.
    "reportRedeclaration": "none",
    "reportUnusedExpression": "none",
    "reportUnusedCoroutine": "none",
    # Packages without types, which the examples of other frameworks import.
    "reportMissingModuleSource": "none",
}
FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)")
HIDDEN = re.compile(r"% invisible-code-block: python")
SKIPPED = re.compile(r"(?:%|<!--) *unchecked: *\S")
PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")


def code_of(page: str) -> str:
    """Return the Python code of a page: a file of as many lines, in which only code is left."""
    lines = page.splitlines()
    code = [""] * len(lines)
    for start, block in _blocks(lines):
        kept = _inputs(block) if block and block[0].startswith(">>>") else block
        code[start : start + len(kept)] = ["" if "from __future__" in line else line for line in kept]
    return "\n".join(code) + "\n"


def check(pages: Sequence[Path]) -> list[str]:
    """Return the errors of basedpyright in the examples of *pages*, as ``page:line: message``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(SETTINGS))
        names = {f"page_{number}.py": page for number, page in enumerate(pages)}
        for name, page in names.items():
            (Path(folder) / name).write_text(code_of(page.read_text()))
        command = ["basedpyright", "--project", folder, "--pythonpath", sys.executable, "--outputjson"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603
        if not done.stdout:
            raise RuntimeError(f"basedpyright failed: {done.stderr}")
        return [
            f"{_shown(names[Path(found['file']).name])}:{found['range']['start']['line'] + 1}: {found['message']}"
            for found in json.loads(done.stdout)["generalDiagnostics"]
            if found["severity"] == "error"
        ]


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (index of its first line, lines) of each Python block, visible or hidden, that is checked."""
    skipped = False
    index = 0
    while index < len(lines):
        line, index = lines[index], index + 1
        if SKIPPED.match(line.strip()):
            skipped = True
        elif HIDDEN.fullmatch(line.strip()):
            start = index
            while index < len(lines) and lines[index].startswith("%"):
                index += 1
            yield start, [hidden.removeprefix("%").removeprefix(" ") for hidden in lines[start:index]]
        elif opening := FENCE.fullmatch(line):
            start = index
            while index < len(lines) and lines[index].strip() != opening[2]:
                index += 1
            if opening[3].strip() == "python" and not skipped:
                yield start, textwrap.dedent("\n".join(lines[start:index])).split("\n")
            skipped = False
            index += 1


def _inputs(block: Sequence[str]) -> list[str]:
    """Return the typed lines of a block with prompts, and an empty line for each line of output."""
    return [line[4:] if PROMPT.match(line) else "" for line in block]


def _shown(page: Path) -> str:
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else str(page)


if __name__ == "__main__":
    problems = check(sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")]))
    print("\n".join(problems) or "Every example has the right types.")  # noqa: T201
    sys.exit(bool(problems))
