"""Locators, which use a template or a callable to find a call's recording.

Every path stays below one root. Locators do not trust the values that a switch wrote into a record.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from cdrkit._model import CallRecord, zone
from cdrkit._recordings.audio import SUFFIXES
from cdrkit._recordings.file import outside_root
from cdrkit._recordings.recording import Recording
from cdrkit._recordings.root import RecordingsRoot
from cdrkit._recordings.template import PathTemplate, parse_template, split_root
from cdrkit.errors import ConfigError, RecordingNotFoundError

__all__ = ["Locator", "RecordingLocation", "make_locator"]

#: A template over the fields of a call, or a callable that returns the path of a recording or None.
RecordingLocation: TypeAlias = str | Callable[[CallRecord], str | None]


class Locator:
    """A function that returns the recording of a call.

    `make_locator` creates a locator from the options of a store.
    """

    def __init__(
        self,
        root: RecordingsRoot | None,
        path_of: Callable[[CallRecord], str | None],
        suffixes: tuple[str, ...] = (),
    ) -> None:
        self._root = root
        self._path_of = path_of
        self._suffixes = suffixes

    def find(self, record: CallRecord, allow: Callable[[str], None] | None = None) -> Recording:
        """Return the recording of *record*, whether or not its file exists.

        Args:
            record: The call.
            allow: A function to call before an action, with ``play``, ``download``, ``url`` or ``location``. The
                function raises an error to refuse the action.

        Raises:
            RecordingNotFoundError: When the call has no recording, or the store has no recordings location.
            ScopeError: When the path leaves the root.
        """
        if self._root is None:
            raise RecordingNotFoundError(
                "The store was opened without recordings. Open it with recordings=, such as '/var/rec/{recording}'.",
                call_id=record.call_id,
            )
        given = self._path_of(record)
        if not given:
            raise RecordingNotFoundError(f"Call {record.call_id!r} has no recording.", call_id=record.call_id)
        path = self._root.normalize(given, record.call_id)
        stem = posixpath.splitext(path)[0]
        others = (f"{stem}.{suffix}" for suffix in self._suffixes)
        return Recording(record, self._root.files, tuple(dict.fromkeys((path, *others))), allow)


def make_locator(
    location: RecordingLocation | None,
    *,
    root: str | os.PathLike[str] | None = None,
    options: Mapping[str, object] | None = None,
    timezone: str = "UTC",
    suffixes: Iterable[str] = (),
) -> Locator:
    """Create a locator of recordings from a template or a callable.

    Args:
        location: A template such as ``/var/spool/asterisk/monitor/{recording}`` or
            ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav``, or a callable that returns the path of a record's recording
            below *root*. None means ``{recording}`` below *root*.
        root: The folder or URL that contains every recording. Without it, the root is the folder before the
            template's first placeholder.
        options: Storage options of the root.
        timezone: The time zone for the template's instants. Date folders usually use the switch's local date.
        suffixes: Further suffixes to try, such as ``mp3`` for files that were compressed later. The locator uses the
            first existing file.

    Raises:
        ConfigError: When the zone, a suffix, the template, the root or an option is invalid.
        UnknownFieldError: When a placeholder of the template is not a field.
    """
    if root is not None and not isinstance(root, (str, os.PathLike)):
        raise ConfigError(f"The recordings root cannot be {root!r}; give a path or a URL.")
    base = None if root is None else os.fspath(root)
    checked_suffixes = _check_suffixes(suffixes)
    local = zone(timezone)
    if location is None and base is None:
        if options:
            raise ConfigError(
                f"The options {sorted(options)} require recordings=, but the location of recordings is missing."
            )
        return Locator(None, lambda record: None)
    if callable(location):
        if not base:
            raise ConfigError(
                "If a callable locates the recordings, cdrkit also needs their root folder. "
                "Give Recordings(callable, root=...)."
            )
        opened = RecordingsRoot.open(base, options)
        return Locator(opened, _relative_callable(location, opened), checked_suffixes)
    if location is not None and not isinstance(location, str):
        raise ConfigError(
            f"The location of recordings cannot be {location!r}; give a template or a callable."
        )
    template = "{recording}" if location is None else location
    parts = parse_template(template)
    if base is None:
        base, parts = split_root(template, parts)
    opened = RecordingsRoot.open(base, options)
    return Locator(opened, PathTemplate.below(opened, parts, local).path_of, checked_suffixes)


def _check_suffixes(suffixes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(suffixes, str) or not isinstance(suffixes, Iterable):
        raise ConfigError(f"The recording suffixes cannot be {suffixes!r}; give a list such as ['mp3'].")
    plain = tuple(suffix.removeprefix(".") if isinstance(suffix, str) else suffix for suffix in suffixes)
    for suffix in plain:
        if not isinstance(suffix, str) or suffix.lower() not in SUFFIXES:
            raise ConfigError(
                f"{suffix!r} is not the suffix of a known audio format; use one of {', '.join(SUFFIXES)}."
            )
    return plain


def _relative_callable(
    location: Callable[[CallRecord], object], root: RecordingsRoot
) -> Callable[[CallRecord], str | None]:
    def path_of(record: CallRecord) -> str | None:
        given = location(record)
        if not given:
            return None
        if not isinstance(given, str):
            raise ConfigError(
                f"The callable that locates recordings must return a string or None, but it returned {given!r}."
            )
        path = root.relative(given)
        if path is None:
            raise outside_root(record.call_id)
        return path

    return path_of
