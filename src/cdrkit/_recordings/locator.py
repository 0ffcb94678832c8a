"""Where recordings lie: from a record to a path below one root that no record can leave.

What a switch wrote into a record is not trusted to name files.
"""

from __future__ import annotations

import os
import posixpath
import re
import string
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, TypeAlias

import attrs

from cdrkit._files import Files, open_files
from cdrkit._model import CallRecord, FieldInfo, known_field, zone
from cdrkit._recordings.audio import SUFFIXES
from cdrkit._recordings.recording import Recording, outside
from cdrkit.errors import ConfigError, RecordingNotFoundError

__all__ = ["Locator", "RecordingPlace", "recording_locator"]

#: Where recordings lie: a template over a record's fields, or what returns the place of one (None: it has none).
RecordingPlace: TypeAlias = str | Callable[[CallRecord], str | None]

_FULL: Final = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:/")
_ONLY_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")


class Locator:
    """What finds the recording of a record; `recording_locator` makes it."""

    def __init__(
        self, root: _Root | None, place: Callable[[CallRecord], str | None], suffixes: tuple[str, ...] = ()
    ) -> None:
        self._root = root
        self._place = place
        self._suffixes = suffixes

    def find(self, record: CallRecord, allow: Callable[[str], None] | None = None) -> Recording:
        """Return the recording of *record*, whether or not its file exists.

        Args:
            record: The call.
            allow: Called with ``play``, ``download``, ``url`` or ``location`` before that is done; it may raise.

        Raises:
            RecordingNotFoundError: When the record has none, or no place was given.
            ScopeError: When its path would leave the root.
        """
        if self._root is None:
            raise RecordingNotFoundError(
                "This store knows no recordings; open it with recordings=, such as '/var/rec/{recording}'.",
                call_id=record.call_id,
            )
        place = self._place(record)
        if not place:
            raise RecordingNotFoundError(f"Call {record.call_id!r} has no recording.", call_id=record.call_id)
        path = self._root.checked(place, record.call_id)
        stem = posixpath.splitext(path)[0]
        others = (f"{stem}.{suffix}" for suffix in self._suffixes)
        return Recording(record, self._root.files, tuple(dict.fromkeys((path, *others))), allow)


def recording_locator(
    place: RecordingPlace | None,
    *,
    root: str | os.PathLike[str] | None = None,
    options: Mapping[str, object] | None = None,
    timezone: str = "UTC",
    suffixes: Iterable[str] = (),
) -> Locator:
    """Return what finds recordings.

    Args:
        place: A template such as ``/var/spool/asterisk/monitor/{recording}`` or
            ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav``, or a callable that returns the path of
            a record's recording, below *root*. None: ``{recording}`` below *root*.
        root: The folder or URL that no recording may lie outside of. A template without one has the folder
            before its first placeholder.
        options: Storage options of the root.
        timezone: The zone that the template's instants are written in; folders by date are, as a rule, by local date.
        suffixes: What the file may end in besides, such as ``mp3`` where it was compressed since: the first that is
            there is taken.

    Raises:
        ConfigError: When the zone, a suffix, the template, the root or an option cannot work.
        UnknownFieldError: When the template names a field that there is not.
    """
    if root is not None and not isinstance(root, (str, os.PathLike)):
        raise ConfigError(f"{root!r} is no path or URL of recordings.")
    base = None if root is None else os.fspath(root)
    endings = _suffixes(suffixes)
    local = zone(timezone)
    if place is None and base is None:
        if options:
            raise ConfigError(f"No place of recordings is given for the options {sorted(options)}.")
        return Locator(None, lambda record: None)
    if callable(place):
        if not base:
            raise ConfigError("A callable place of recordings needs the root that they lie below.")
        below = _Root.of(base, options)
        return Locator(below, _below_root(place, below), endings)
    if place is not None and not isinstance(place, str):
        raise ConfigError(f"The place of recordings cannot be {place!r}; give a template or a callable.")
    template_text = "{recording}" if place is None else place
    pieces = _parsed(template_text)
    if base is None:
        base, pieces = _split_root(template_text, pieces)
    below = _Root.of(base, options)
    template = _Template(root=below, pieces=below.relative_template(pieces), zone=local)
    return Locator(below, template.place, endings)


def _suffixes(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"Suffixes of recordings are a list such as ['mp3'], not {given!r}.")
    found = tuple(suffix.removeprefix(".") if isinstance(suffix, str) else suffix for suffix in given)
    for suffix in found:
        if not isinstance(suffix, str) or suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{suffix!r} is the suffix of no recording; use one of {', '.join(SUFFIXES)}.")
    return found


def _below_root(place: Callable[[CallRecord], object], root: _Root) -> Callable[[CallRecord], str | None]:
    def below(record: CallRecord) -> str | None:
        found = place(record)
        if not found:
            return None
        if not isinstance(found, str):
            raise ConfigError(f"The place of a recording cannot be {found!r}; return a text or None.")
        path = root.relative(found)
        if path is None:
            raise outside(record.call_id)
        return path

    return below


@attrs.frozen
class _Root:
    """The folder that no recording may leave, and how full paths below it begin."""

    files: Files
    beginnings: tuple[str, ...]
    is_web: bool

    @classmethod
    def of(cls, url: str, options: Mapping[str, object] | None) -> _Root:
        files = open_files(url, options)
        local = files.local_path("root")
        if local is None:
            return cls(files, (url.rstrip("/") + "/",), url.startswith(("http://", "https://")))
        folder = os.path.dirname(local).rstrip("/") + "/"
        return cls(files, (folder, f"file://{folder}", f"local://{folder}"), False)

    def relative(self, place: str) -> str | None:
        """Return *place* below the root: itself, or what follows the root in a full path; None when it is outside."""
        if not _FULL.match(place):
            return place
        for beginning in self.beginnings:
            if place.startswith(beginning):
                return place.removeprefix(beginning).lstrip("/")
        return None

    def relative_template(self, pieces: list[_Piece]) -> list[_Piece]:
        first = self.relative(pieces[0].literal)
        if first is None:
            raise ConfigError(
                "The template of recordings does not begin below the root that is given with it."
            )
        return [attrs.evolve(pieces[0], literal=first), *pieces[1:]]

    def checked(self, path: str, call_id: str) -> str:
        """Return *path*, given relative to the root, in its plainest form.

        Raises:
            ScopeError: When it leaves the root; the message names no path.
        """
        # On the web %2e%2e is .. again once it has been decoded; elsewhere it is a name like any other.
        for text in (path, urllib.parse.unquote(path)) if self.is_web else (path,):
            if "\0" in text or "\\" in text or text.startswith("/") or ".." in text.split("/"):
                raise outside(call_id)
        plain = posixpath.normpath(path)
        if plain == ".":
            raise outside(call_id)
        return plain


@attrs.frozen
class _Piece:
    """One step of a template: text as it stands, then the value of a field."""

    literal: str
    field: str | None
    spec: str


@attrs.frozen
class _Template:
    root: _Root
    pieces: list[_Piece]
    zone: tzinfo

    def place(self, record: CallRecord) -> str | None:
        """Return the path of *record* below the root, or None when it lacks a field that the template needs."""
        text = ""
        for piece in self.pieces:
            text += piece.literal
            if piece.field is None:
                continue
            value = getattr(record, piece.field)
            if value is None or value == "":
                return None
            if isinstance(value, datetime):
                value = value.astimezone(self.zone)
            shown = format(value, piece.spec)
            if piece.field == "recording":
                shown = self._below(shown, text, record.call_id)
            elif isinstance(value, str) and "/" in shown:  # it would choose the folder
                raise outside(record.call_id)
            text += shown
        return text

    def _below(self, recording: str, folder: str, call_id: str) -> str:
        """Return a full path relative to what the template has said so far, or else to the root."""
        if not _FULL.match(recording):
            return recording
        path = self.root.relative(recording)
        if path is None:
            raise outside(call_id)
        return path.removeprefix(folder)


def _parsed(template: str) -> list[_Piece]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as exc:
        raise ConfigError(f"The template of recordings {template!r} cannot be read: {exc}.") from exc
    pieces = [_piece(template, *part) for part in parsed]
    if not any(piece.field for piece in pieces):
        raise ConfigError(f"The template of recordings {template!r} names no field, such as {{recording}}.")
    return pieces


def _piece(
    template: str, literal: str, field: str | None, spec: str | None, conversion: str | None
) -> _Piece:
    if field is None:
        return _Piece(literal, None, "")
    if conversion or "{" in (spec or "") or len(spec or "") > 40 or not field.isidentifier():
        raise ConfigError(
            f"The template of recordings {template!r} cannot use {field!r}; a placeholder is the plain name of a "
            "field, and a format after ':' if need be."
        )
    sample = _sample(known_field(field))
    try:
        format(sample, spec or "")
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"The template of recordings {template!r} cannot format {field}: {exc}.") from exc
    return _Piece(literal, field, spec or "")


def _sample(info: FieldInfo) -> object:
    """Return some value of the field, to try a format on."""
    kind = str(info.type)
    if kind.startswith("timestamp"):
        return datetime(2026, 1, 2, tzinfo=UTC)
    if kind.startswith("decimal"):
        return Decimal("1.5")
    if kind.startswith("int"):
        return 1
    return 1.5 if kind in ("float", "double") else "text"


def _split_root(template: str, pieces: list[_Piece]) -> tuple[str, list[_Piece]]:
    folder, _, name = pieces[0].literal.rpartition("/")
    if _ONLY_SCHEME.fullmatch(folder):
        raise ConfigError(
            f"The template of recordings {template!r} names no folder before its first placeholder; begin it with one, "
            "such as '/var/spool/asterisk/monitor/', or give the root."
        )
    return folder, [attrs.evolve(pieces[0], literal=name), *pieces[1:]]
