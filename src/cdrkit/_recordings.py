"""Recordings of calls: where each one lies, what it holds, and its bytes.

A locator turns a record into a path below one root, and refuses whatever would leave it: what a switch wrote
into a record is not trusted to name files.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
import string
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any, Final, TypeAlias

import attrs

from ._audio import content_type_of, duration_of, format_of
from ._records import CallRecord, FieldInfo, known_field
from .errors import (
    ConfigError,
    MissingExtraError,
    NotFoundError,
    QueryError,
    RecordingNotFoundError,
    ScopeError,
    StorageError,
)
from .storage._files import Files, is_url, open_files, split_url

__all__ = ["Locator", "Recording", "RecordingPlace", "recording_locator"]

#: Where recordings lie: a template over a record's fields, or what returns the place of one (None: it has none).
RecordingPlace: TypeAlias = str | Callable[[CallRecord], str | None]

_FULL: Final = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:/")
_ONLY_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")

_HEAD_BYTES: Final = 4_096


class Recording:
    """The recording of one call: whether it is there, what it holds, and its bytes.

    `Store.recording` makes it; nothing is read before it is asked for. What was learnt of the file's head is
    kept, so ask the store anew for a recording that is still being written.

    .. code-block:: python

        recording = store.recording(call)
        if recording.exists:
            recording.duration              # 12.48
            recording.download("call.wav")
    """

    def __init__(
        self, call_id: str, files: Files, path: str, allow: Callable[[str], None] | None = None
    ) -> None:
        self._call_id = call_id
        self._files = files
        self._path = path
        self._allow = allow
        self._known_head: bytes | None = None

    def __repr__(self) -> str:
        return f"<Recording of call {self._call_id!r}>"

    @property
    def call_id(self) -> str:
        """The call it belongs to."""
        return self._call_id

    @property
    def location(self) -> str:
        """Where it lies, as a path or URL: for logs and administrators, not for customers.

        Raises:
            ScopeError: When it was found within a scope.
        """
        if self._allow is not None:
            raise ScopeError(
                f"Where the recording of call {self._call_id!r} lies is not told within a scope."
            )
        return self._location

    @property
    def exists(self) -> bool:
        """Whether its file is there.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._size() is not None

    @property
    def size_bytes(self) -> int:
        """The size of the file.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        size = self._size()
        if size is None:
            raise self._missing()
        return size

    @property
    def format(self) -> str | None:
        """What it is (``wav``, ``mp3``, ``gsm`` …) by its content, else by its suffix; None when neither tells."""
        suffix = posixpath.splitext(self._path)[1][1:]
        try:
            return format_of(self._head(), suffix)
        except RecordingNotFoundError:
            return format_of(b"", suffix)

    @property
    def content_type(self) -> str:
        """The media type to serve it with; ``application/octet-stream`` when its format is not known."""
        return content_type_of(self.format)

    @property
    def duration(self) -> float | None:
        """How long it plays, in seconds, by what is really in the file; None for formats that do not tell.

        WAV of any coding tells, finished or not, and so do the raw formats of telephony. MP3 and the like do not.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return duration_of(self.format, self._piece, self.size_bytes)

    def open(self) -> IO[bytes]:
        """Open it for reading; the result can seek and must be closed.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
            StorageError: When it cannot be read.
        """
        self._allowed("play")
        return self._opened()

    def _opened(self) -> IO[bytes]:
        if not self.exists:
            raise self._missing()
        with self._reading():
            return self._files.open(self._path)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return its bytes from *start* up to and without *stop*, as HTTP Range needs them.

        Args:
            start: The first byte, counted from 0; past the end there is nothing.
            stop: The byte to stop before; None: the end.

        Raises:
            QueryError: When *start* is negative or *stop* lies before it.
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
            StorageError: When it cannot be read.
        """
        _check_number("start", start, at_least=0)
        if stop is not None:
            _check_number("stop", stop, at_least=start)
        self._allowed("play")
        return self._bytes(start, stop)

    def _bytes(self, start: int, stop: int | None) -> bytes:
        size = self.size_bytes
        stop = size if stop is None else min(stop, size)
        if start >= stop:  # object stores answer with an error
            return b""
        with self._reading():
            return self._files.read(self._path, start, stop)

    def download(
        self,
        dest: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        storage_options: Mapping[str, object] | None = None,
    ) -> str:
        """Copy it to *dest*, which appears whole or not at all, and return where it went.

        Args:
            dest: A path or URL. An existing folder, or one that ends in ``/``, gets the recording under its own
                file name.
            overwrite: Whether a file that is there already is replaced. It is not by default: recordings of
                different days often share a name.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
            StorageError: When *dest* exists and *overwrite* is off, or cannot be written.
        """
        if not isinstance(dest, (str, os.PathLike)):
            raise ConfigError(f"{dest!r} is no path or URL to download to.")
        target = os.fspath(dest)
        if target.endswith("/") or (not is_url(target) and os.path.isdir(target)):
            target = f"{target.removesuffix('/')}/{posixpath.basename(self._path)}"
        folder, name = split_url(target)
        files = open_files(folder, storage_options)
        self._allowed("download")
        with self._opened() as source:
            if not overwrite and files.size(name) is not None:
                raise StorageError(f"{target!r} exists; pass overwrite=True to replace it.", url=target)
            with files.writer(name) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        return target

    def play(self) -> Any:
        """Return a player for a notebook, with the sound inside it: no path of the server leaves.

        Returns:
            An ``IPython.display.Audio``.

        Raises:
            MissingExtraError: When IPython is not installed.
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        try:
            from IPython.display import Audio  # type: ignore[import-not-found,unused-ignore]  # an optional package
        except ImportError as exc:
            raise MissingExtraError(
                "Playing a recording needs IPython: pip install 'cdrkit[notebook]'.", extra="notebook"
            ) from exc
        player = Audio(data=self.read())
        player.mimetype = self.content_type
        return player

    def url(self, *, expires: int = 3_600) -> str:
        """Return a URL that plays it for *expires* seconds without credentials.

        Raises:
            ConfigError: When its filesystem cannot sign URLs, as the local disk cannot; stream it instead.
            QueryError: When *expires* is not a whole number of seconds above 0.
        """
        _check_number("expires", expires, at_least=1)
        self._allowed("url")
        return self._files.sign(self._path, expires)

    def _allowed(self, action: str) -> None:
        if self._allow is not None:
            self._allow(action)

    @property
    def _location(self) -> str:
        return self._files.url_of(self._path)

    def _size(self) -> int | None:
        local = self._files.local_path(self._path)
        if local is not None:
            root = os.path.realpath(local.removesuffix(self._path))
            if os.path.commonpath([root, os.path.realpath(local)]) != root:
                raise _outside(self._call_id)
            if not os.path.isfile(local):  # a folder, a pipe or a device is no recording
                return None
        return self._files.size(self._path)

    def _missing(self) -> RecordingNotFoundError:
        return RecordingNotFoundError(
            f"The recording of call {self._call_id!r} is not there.",
            url=self._location,
            call_id=self._call_id,
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as exc:
            raise self._missing() from exc

    def _head(self) -> bytes:
        if self._known_head is None:
            self._known_head = self._bytes(0, _HEAD_BYTES)
        return self._known_head

    def _piece(self, start: int, stop: int) -> bytes:
        return self._head()[start:stop] if stop <= _HEAD_BYTES else self._bytes(start, stop)


def _check_number(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise QueryError(f"{name} cannot be {value!r}; give a whole number from {at_least}.", parameter=name)


class Locator:
    """What finds the recording of a record; `recording_locator` makes it."""

    def __init__(self, root: _Root | None, place: Callable[[CallRecord], str | None]) -> None:
        self._root = root
        self._place = place

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
        return Recording(record.call_id, self._root.files, path, allow)


def recording_locator(
    place: RecordingPlace | None,
    *,
    root: str | os.PathLike[str] | None = None,
    options: Mapping[str, object] | None = None,
) -> Locator:
    """Return what finds recordings.

    Args:
        place: A template such as ``/var/spool/asterisk/monitor/{recording}`` or
            ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav`` (instants in UTC), or a callable that returns the path of
            a record's recording, below *root*. None: ``{recording}`` below *root*.
        root: The folder or URL that no recording may lie outside of. A template without one has the folder
            before its first placeholder.
        options: Storage options of the root.

    Raises:
        ConfigError: When the template, the root or an option cannot work.
        UnknownFieldError: When the template names a field that there is not.
    """
    if root is not None and not isinstance(root, (str, os.PathLike)):
        raise ConfigError(f"{root!r} is no path or URL of recordings.")
    base = None if root is None else os.fspath(root)
    if place is None and base is None:
        if options:
            raise ConfigError(f"No place of recordings is given for the options {sorted(options)}.")
        return Locator(None, lambda record: None)
    if callable(place):
        if not base:
            raise ConfigError("A callable place of recordings needs the root that they lie below.")
        below = _Root.of(base, options)
        return Locator(below, _below_root(place, below))
    if place is not None and not isinstance(place, str):
        raise ConfigError(f"The place of recordings cannot be {place!r}; give a template or a callable.")
    template_text = "{recording}" if place is None else place
    pieces = _parsed(template_text)
    if base is None:
        base, pieces = _split_root(template_text, pieces)
    below = _Root.of(base, options)
    template = _Template(root=below, pieces=below.relative_template(pieces))
    return Locator(below, template.place)


def _below_root(place: Callable[[CallRecord], object], root: _Root) -> Callable[[CallRecord], str | None]:
    def below(record: CallRecord) -> str | None:
        found = place(record)
        if not found:
            return None
        if not isinstance(found, str):
            raise ConfigError(f"The place of a recording cannot be {found!r}; return a text or None.")
        path = root.relative(found)
        if path is None:
            raise _outside(record.call_id)
        return path

    return below


def _outside(call_id: str) -> ScopeError:
    return ScopeError(
        f"The recording of call {call_id!r} does not lie below the recordings' root; it is refused."
    )


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
                raise _outside(call_id)
        plain = posixpath.normpath(path)
        if plain == ".":
            raise _outside(call_id)
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
            shown = format(value, piece.spec)
            if piece.field == "recording":
                shown = self._below(shown, text, record.call_id)
            elif isinstance(value, str) and "/" in shown:  # it would choose the folder
                raise _outside(record.call_id)
            text += shown
        return text

    def _below(self, recording: str, folder: str, call_id: str) -> str:
        """Return a full path relative to what the template has said so far, or else to the root."""
        if not _FULL.match(recording):
            return recording
        path = self.root.relative(recording)
        if path is None:
            raise _outside(call_id)
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
