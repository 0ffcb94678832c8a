"""Templates for recording paths: text with placeholders for call fields."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final

import attrs

from cdrkit._model import CallRecord, FieldInfo, find_field
from cdrkit._recordings.file import outside_root
from cdrkit._recordings.root import RecordingsRoot, is_full_path
from cdrkit.errors import ConfigError

__all__ = ["PathTemplate", "TemplatePart", "parse_template", "split_root"]

_ONLY_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")
_LONGEST_FORMAT: Final = 40


@attrs.frozen
class TemplatePart:
    """A part of a template: literal text, followed by a formatted field value.

    Attributes:
        literal: Text before the field.
        field: Name of the field; None if only literal text is left.
        spec: Format specification for the value, as in `format`.
    """

    literal: str
    field: str | None
    spec: str


@attrs.frozen
class PathTemplate:
    """A template for the paths of recordings below a root.

    Attributes:
        root: The root of the recordings.
        parts: The parts, relative to the root.
        zone: The time zone for instants in paths.
    """

    root: RecordingsRoot
    parts: Sequence[TemplatePart]
    zone: tzinfo

    @classmethod
    def below(cls, root: RecordingsRoot, parts: Sequence[TemplatePart], zone: tzinfo) -> PathTemplate:
        """Create a template from *parts*, and make its first part relative to *root*.

        Raises:
            ConfigError: When the template starts outside the root.
        """
        literal = root.relative(parts[0].literal)
        if literal is None:
            raise ConfigError(
                "The recording template starts outside the given root. Start the template below the root."
            )
        return cls(root, [attrs.evolve(parts[0], literal=literal), *parts[1:]], zone)

    def path_of(self, record: CallRecord) -> str | None:
        """Return the path for *record* relative to the root.

        The path is None when *record* lacks a field of the template.

        Raises:
            ScopeError: When a value of the record would select another folder.
        """
        path = ""
        for part in self.parts:
            path += part.literal
            if part.field is None:
                continue
            value = getattr(record, part.field)
            if value is None or value == "":
                return None
            if isinstance(value, datetime):
                value = value.astimezone(self.zone)
            text = format(value, part.spec)
            if part.field == "recording":
                text = self._relative_recording(text, path, record.call_id)
            elif isinstance(value, str) and "/" in text:  # a value must not choose the folder
                raise outside_root(record.call_id)
            path += text
        return path

    def _relative_recording(self, recording: str, folder: str, call_id: str) -> str:
        """Return *recording* as a path relative to *folder*.

        A full path in the field may repeat *folder*.
        """
        if not is_full_path(recording):
            return recording
        path = self.root.relative(recording)
        if path is None:
            raise outside_root(call_id)
        return path.removeprefix(folder)


def parse_template(template: str) -> list[TemplatePart]:
    """Parse a template into its parts.

    Raises:
        ConfigError: When the template has no placeholder, or a placeholder or format is invalid.
        UnknownFieldError: When a placeholder is not a field.
    """
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as exc:
        raise ConfigError(f"The recording template {template!r} cannot be parsed: {exc}.") from exc
    parts = [_parse_part(template, *part) for part in parsed]
    if not any(part.field for part in parts):
        raise ConfigError(
            f"The recording template {template!r} has no placeholder. Add one, such as {{recording}}."
        )
    return parts


def _parse_part(
    template: str, literal: str, field: str | None, spec: str | None, conversion: str | None
) -> TemplatePart:
    if field is None:
        return TemplatePart(literal, None, "")
    if conversion or "{" in (spec or "") or len(spec or "") > _LONGEST_FORMAT or not field.isidentifier():
        raise ConfigError(
            f"The recording template {template!r} cannot use {field!r}. A placeholder is the name of a field, "
            "optionally with ':' and a format."
        )
    sample = _sample_value(find_field(field))
    try:
        format(sample, spec or "")
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"The recording template {template!r} cannot format {field}: {exc}.") from exc
    return TemplatePart(literal, field, spec or "")


def _sample_value(info: FieldInfo) -> object:
    """Return a sample value of the field's type, to test a format."""
    kind = str(info.type)
    if kind.startswith("timestamp"):
        return datetime(2026, 1, 2, tzinfo=UTC)
    if kind.startswith("decimal"):
        return Decimal("1.5")
    if kind.startswith("int"):
        return 1
    return 1.5 if kind in ("float", "double") else "text"


def split_root(template: str, parts: Sequence[TemplatePart]) -> tuple[str, list[TemplatePart]]:
    """Split a template into a root folder and the parts below it.

    The root is the folder before the first placeholder.

    Raises:
        ConfigError: When the template has no folder before the first placeholder.
    """
    folder, _, name = parts[0].literal.rpartition("/")
    if _ONLY_SCHEME.fullmatch(folder):
        raise ConfigError(
            f"The recording template {template!r} has no folder before its first placeholder. Start it with a "
            "folder, such as '/var/spool/asterisk/monitor/', or give the root."
        )
    return folder, [attrs.evolve(parts[0], literal=name), *parts[1:]]
