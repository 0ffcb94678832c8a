"""Write reference/fields.md from the catalogue: `python docs/_generate_fields.py`. A test compares them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from cdrkit import FIELDS, FieldInfo

__all__ = ["page"]

HEAD = """\
# The fields of a call record

This page is generated from `cdrkit.FIELDS`. The metadata of `cdrkit.SCHEMA` also has the label, the unit and the
meaning of each field. Only `call_id` and `start` are required. Every other field is `None` if the switch does not
provide it.

A *word* is a text value that many calls share and that a file stores only once. An *instant* is stored in UTC, to the
microsecond. Money has at most six decimal places.

"""
WORDS = {
    pa.string(): "text",
    pa.dictionary(pa.int32(), pa.string()): "word",
    pa.timestamp("us", tz="UTC"): "instant",
    pa.decimal128(18, 6): "decimal(18, 6)",
    pa.int32(): "int32",
    pa.int16(): "int16",
    pa.float64(): "float64",
    pa.float32(): "float32",
}


def page() -> str:
    """Return the page."""
    rows = [("Field", "Label", "Type", "Unit", "Meaning"), ("---",) * 5]
    rows += [
        (f"`{info.name}`", info.label, _type(info), info.unit or "", info.meaning) for info in FIELDS.values()
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _type(info: FieldInfo) -> str:
    if info.choices:
        return f"one of {', '.join(f'`{choice}`' for choice in info.choices)}"
    return WORDS[info.type] + (", required" if info.required else "")


if __name__ == "__main__":
    (Path(__file__).parent / "reference" / "fields.md").write_text(page())
