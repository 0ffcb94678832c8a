"""The display settings of a portal viewer, and a store for these settings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import attrs

from cdrkit._files import open_files
from cdrkit._model import FieldName, check_zone, find_field
from cdrkit._output.display import check_style
from cdrkit.errors import CdrError, ConfigError, CorruptDataError, NotFoundError, suggestion

__all__ = ["DEFAULT_COLUMNS", "DisplaySettings", "DisplaySettingsStore"]

#: The columns of a portal until the portal viewer chooses others.
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


def _check_columns(value: Iterable[FieldName | str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"columns={value!r} is not a list. Give a list of field names.")
    columns = tuple(find_field(name).name for name in value)
    if not columns or len(set(columns)) != len(columns):
        raise ConfigError(
            f"columns={list(columns)} is not valid. Give at least one field, and each field once."
        )
    return columns


def _check_page_size(value: int) -> int:
    if type(value) is not int or not 1 <= value <= _MAX_PAGE_SIZE:
        raise ConfigError(
            f"page_size={value!r} is not a page size. Give a whole number from 1 to {_MAX_PAGE_SIZE}."
        )
    return value


@attrs.frozen(kw_only=True)
class DisplaySettings:
    """A portal viewer's settings for lists of calls.

    The settings are the zone, the columns, the page size and the time style.

    A `DisplaySettings` is a frozen value: compare it, store it as a dict, copy it with `attrs.evolve`.

    Example:
        >>> settings = DisplaySettings(timezone="Europe/London", columns=["start", "source", "duration"])
        >>> settings.page_size
        50
        >>> DisplaySettings.from_dict(settings.to_dict()) == settings
        True

    Attributes:
        timezone: IANA name of the display zone.
        columns: The fields to show, in order.
        page_size: Calls per page, 1 to 10,000 inclusive.
        times: The style of instants: ``iso``, ``day_first`` or ``month_first``.

    Raises:
        ConfigError: When the zone or the time style is unknown, a column is missing or given twice, or the page size
            is out of range.
        UnknownFieldError: When a column is not a field.
    """

    timezone: str = attrs.field(default="UTC", converter=check_zone)
    columns: tuple[str, ...] = attrs.field(default=DEFAULT_COLUMNS, converter=_check_columns)
    page_size: int = attrs.field(default=50, converter=_check_page_size)
    times: Literal["iso", "day_first", "month_first"] = attrs.field(default="iso", converter=check_style)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict of JSON values.

        Example:
            >>> DisplaySettings(columns=["start", "source"], page_size=25).to_dict()
            {'timezone': 'UTC', 'columns': ['start', 'source'], 'page_size': 25, 'times': 'iso'}
        """
        return {
            "timezone": self.timezone,
            "columns": list(self.columns),
            "page_size": self.page_size,
            "times": self.times,
        }

    def within(self, fields: Iterable[FieldName | str]) -> DisplaySettings:
        """Copy the settings, without the columns that are not in *fields*.

        If no column is left, the result has the default columns that are in *fields*.

        Example:
            >>> DisplaySettings(columns=["start", "charge"]).within(["start", "source"]).columns
            ('start',)

        Args:
            fields: Names of the fields that the portal viewer may see, such as `ScopedStore.fields`.
        """
        known = set(fields)
        columns = [name for name in self.columns if name in known]
        columns = columns or [name for name in DEFAULT_COLUMNS if name in known] or ["start"]
        return attrs.evolve(self, columns=columns)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DisplaySettings:
        """Build settings from a dict that `to_dict` returned.

        An absent setting takes its default.

        Example:
            >>> DisplaySettings.from_dict({"timezone": "Europe/London"}).page_size
            50

        Args:
            values: Settings by name.

        Raises:
            ConfigError: When *values* is not a mapping, or has an unknown key or a wrong value.
            UnknownFieldError: When a column is not a field.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"Display settings must be a mapping, not {values!r}.")
        known = [attribute.name for attribute in attrs.fields(cls)]
        for key in values:
            if key not in known:
                hint, _ = suggestion(str(key), known)
                raise ConfigError(f"Unknown display setting {key!r}.{hint} All settings: {', '.join(known)}.")
        return cls(**values)


class DisplaySettingsStore:
    """A store for the `DisplaySettings` of portal viewers; it holds no calls.

    This store is a folder or fsspec URL with one small file for each portal viewer.

    Writes are atomic; if two processes write at the same time, the settings of one process remain. The file's name is
    a hash of the portal viewer's name. So the name cannot choose a path, cannot be too long, and is not visible in a
    listing.

    Example:
        >>> from cdrkit import DisplaySettings, DisplaySettingsStore
        >>> store = DisplaySettingsStore("memory://settings-example")
        >>> store.put("ann@example.com", DisplaySettings(timezone="Europe/London"))
        >>> store.get("ann@example.com").timezone
        'Europe/London'
        >>> store.get("somebody else").timezone
        'UTC'

    Args:
        url: A folder or any fsspec URL.
        default: Settings for portal viewers without stored settings; None for `DisplaySettings()`.
        storage_options: Options for the filesystem of a URL (credentials, endpoint).

    Raises:
        ConfigError: When the URL, an option or the default is invalid.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        default: DisplaySettings | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> None:
        if default is not None and not isinstance(default, DisplaySettings):
            raise ConfigError(f"default={default!r} is not valid. Give a DisplaySettings object.")
        self._files = open_files(url, storage_options)
        self._default = default or DisplaySettings()

    def __repr__(self) -> str:
        return f"<DisplaySettingsStore {self._files.url!r}>"

    def get(self, viewer: str) -> DisplaySettings:
        """Return the settings of *viewer*, or the default.

        Stored settings that are no longer valid are ignored.

        Example:
            >>> DisplaySettingsStore("memory://settings-get").get("ann").times
            'iso'

        Args:
            viewer: The portal viewer's name: any text that is not blank.

        Raises:
            ConfigError: When *viewer* is not a string, or is blank.
            CorruptDataError: When the file is damaged; `put` replaces it.
            StorageError: When the file cannot be read.
        """
        path = _path_of(viewer)
        try:
            data = self._files.read(path)
        except NotFoundError:
            return self._default
        try:
            values = json.loads(data)
            if not isinstance(values, dict):
                raise TypeError("the file does not contain a JSON object")
        except (ValueError, TypeError, RecursionError) as exc:
            url = self._files.url_of(path)
            raise CorruptDataError(
                f"The settings in {url} are damaged: {exc}. Write them again with put().", url=url
            ) from exc
        settings = self._default
        for attribute in attrs.fields(DisplaySettings):
            with contextlib.suppress(CdrError):
                if attribute.name in values:
                    settings = attrs.evolve(settings, **{attribute.name: values[attribute.name]})
        return settings

    def put(self, viewer: str, settings: DisplaySettings) -> None:
        """Store the settings of *viewer* durably.

        Example:
            >>> DisplaySettingsStore("memory://settings-put").put("ann", DisplaySettings(page_size=25))

        Args:
            viewer: The portal viewer's name: any text that is not blank.
            settings: The settings to store.

        Raises:
            ConfigError: When *viewer* is not a string or is blank, or *settings* is not `DisplaySettings`.
            StorageError: When the file cannot be written; the earlier settings remain.
        """
        if not isinstance(settings, DisplaySettings):
            raise ConfigError(f"settings={settings!r} is not valid. Give a DisplaySettings object.")
        self._files.put(_path_of(viewer), json.dumps(settings.to_dict()).encode())

    def forget(self, viewer: str) -> None:
        """Delete the settings of *viewer*, if any are stored.

        Example:
            >>> DisplaySettingsStore("memory://settings-forget").forget("ann")

        Args:
            viewer: The portal viewer's name: any text that is not blank.

        Raises:
            ConfigError: When *viewer* is not a string, or is blank.
            StorageError: When the file cannot be deleted.
        """
        self._files.remove(_path_of(viewer))


def _path_of(viewer: str) -> str:
    if not isinstance(viewer, str) or not viewer.strip():
        raise ConfigError(
            f"viewer={viewer!r} is not a portal viewer's name. Give a string that is not blank."
        )
    return f"{hashlib.sha256(viewer.encode(errors='surrogatepass')).hexdigest()}.json"
