"""What a viewer chose to see, as a value, and a place that remembers it for each of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from cdrkit._files import open_files
from cdrkit._model import check_zone, known_field
from cdrkit._output.display import TimeStyle, check_style
from cdrkit.errors import CdrError, ConfigError, CorruptDataError, NotFoundError, suggestion

__all__ = ["DEFAULT_COLUMNS", "DisplaySettings", "DisplaySettingsStore"]

#: The columns a portal shows until its viewer chooses others.
DEFAULT_COLUMNS: Final = (
    "start",
    "source",
    "destination",
    "destination_name",
    "direction",
    "disposition",
    "duration",
    "billed_duration",
    "charge",
    "currency",
    "recording",
)

_MAX_PAGE_SIZE: Final = 10_000


def _as_columns(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"columns cannot be {value!r}; give a list of field names.")
    columns = tuple(known_field(name).name for name in value)
    if not columns or len(set(columns)) != len(columns):
        raise ConfigError(f"Choose each column once, and at least one; {list(columns)} was given.")
    return columns


def _as_page_size(value: int) -> int:
    if type(value) is not int or not 1 <= value <= _MAX_PAGE_SIZE:
        raise ConfigError(f"page_size cannot be {value!r}; give a whole number from 1 to {_MAX_PAGE_SIZE}.")
    return value


@attrs.frozen(kw_only=True)
class DisplaySettings:
    """How one viewer wants calls shown: the zone, the columns, the length of a page.

    A value: compare it, keep it as a dict, copy it with `attrs.evolve`.

    Example:
        >>> settings = DisplaySettings(timezone="Europe/London", columns=["start", "source", "duration"])
        >>> settings.page_size
        50
        >>> DisplaySettings.from_dict(settings.to_dict()) == settings
        True

    Attributes:
        timezone: The zone that instants are shown in, as an IANA name.
        columns: The fields shown, in their order.
        page_size: How many calls a page holds, 1 to 10,000.
        times: How instants are written: ``iso``, ``day_first`` or ``month_first``.

    Raises:
        ConfigError: When there is no such zone, no column or a column twice, the page size is out
            of range, or there is no such way to write times.
        UnknownFieldError: When a column is not a field.
    """

    timezone: str = attrs.field(default="UTC", converter=check_zone)
    columns: tuple[str, ...] = attrs.field(default=DEFAULT_COLUMNS, converter=_as_columns)
    page_size: int = attrs.field(default=50, converter=_as_page_size)
    times: TimeStyle = attrs.field(default="iso", converter=check_style)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        return {
            "timezone": self.timezone,
            "columns": list(self.columns),
            "page_size": self.page_size,
            "times": self.times,
        }

    def within(self, fields: Iterable[str]) -> DisplaySettings:
        """Return the settings with those columns only that are among *fields*, such as `ScopedStore.fields`.

        Where none is left, the usual ones are shown.
        """
        known = set(fields)
        columns = [name for name in self.columns if name in known]
        columns = columns or [name for name in DEFAULT_COLUMNS if name in known] or ["start"]
        return attrs.evolve(self, columns=columns)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DisplaySettings:
        """Return the settings that `to_dict` gave; what is left out takes its default.

        Raises:
            ConfigError: When *values* is no mapping, holds an unknown key, or a value cannot work.
            UnknownFieldError: When a column is not a field.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"Display settings cannot be made of {values!r}; give a mapping.")
        known = [attribute.name for attribute in attrs.fields(cls)]
        for key in values:
            if key not in known:
                hint, _ = suggestion(str(key), known)
                raise ConfigError(
                    f"There is no display setting {key!r}.{hint} All settings: {', '.join(known)}."
                )
        return cls(**values)


class DisplaySettingsStore:
    """Remembers the `DisplaySettings` of each viewer: one small file a viewer, below any folder or fsspec URL.

    A file appears whole or not at all; of two that are written at once one stays. Its name is a hash of the viewer's
    name, so that no name can choose a place, be too long, or be read off a listing.

    Example:
        >>> from cdrkit import DisplaySettings, DisplaySettingsStore
        >>> kept = DisplaySettingsStore("memory://settings-example")
        >>> kept.put("ann@example.com", DisplaySettings(timezone="Europe/London"))
        >>> kept.get("ann@example.com").timezone
        'Europe/London'
        >>> kept.get("somebody else").timezone
        'UTC'

    Args:
        url: A folder or any fsspec URL.
        default: What is shown to who has chosen nothing.
        storage_options: Options for the filesystem of a URL (credentials, endpoint).

    Raises:
        ConfigError: When the URL, an option or the default cannot work.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        default: DisplaySettings | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> None:
        if default is not None and not isinstance(default, DisplaySettings):
            raise ConfigError(f"The default is DisplaySettings, not {default!r}.")
        self._files = open_files(url, storage_options)
        self._default = default or DisplaySettings()

    def __repr__(self) -> str:
        return f"<DisplaySettingsStore {self._files.url!r}>"

    def get(self, viewer: str) -> DisplaySettings:
        """Return what *viewer* chose, or the default. A choice that no longer holds, such as of a column, is left out.

        Raises:
            ConfigError: When *viewer* is no name.
            CorruptDataError: When the file is damaged; `put` replaces it.
            StorageError: When it cannot be read.
        """
        path = _path_of(viewer)
        try:
            data = self._files.read(path)
        except NotFoundError:
            return self._default
        try:
            values = json.loads(data)
            if not isinstance(values, dict):
                raise TypeError("a JSON object is needed")
        except (ValueError, TypeError, RecursionError) as exc:
            url = self._files.url_of(path)
            raise CorruptDataError(
                f"The settings in {url} are damaged: {exc}. Put them anew.", url=url
            ) from exc
        found = self._default
        for attribute in attrs.fields(DisplaySettings):
            with contextlib.suppress(CdrError):
                if attribute.name in values:
                    found = attrs.evolve(found, **{attribute.name: values[attribute.name]})
        return found

    def put(self, viewer: str, settings: DisplaySettings) -> None:
        """Remember what *viewer* chose.

        Raises:
            ConfigError: When *viewer* is no name, or *settings* are none.
            StorageError: When it cannot be written; what was remembered before stays.
        """
        if not isinstance(settings, DisplaySettings):
            raise ConfigError(f"What is remembered is DisplaySettings, not {settings!r}.")
        self._files.put(_path_of(viewer), json.dumps(settings.to_dict()).encode())

    def forget(self, viewer: str) -> None:
        """Remove what *viewer* chose, if anything.

        Raises:
            ConfigError: When *viewer* is no name.
            StorageError: When it cannot be removed.
        """
        self._files.remove(_path_of(viewer))


def _path_of(viewer: str) -> str:
    if not isinstance(viewer, str) or not viewer.strip():
        raise ConfigError(f"A viewer has a name, a text; it cannot be {viewer!r}.")
    return f"{hashlib.sha256(viewer.encode(errors='surrogatepass')).hexdigest()}.json"
