"""Option groups for `open_store`: recordings, cache and tiers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from cdrkit._recordings import RecordingLocation
from cdrkit.errors import ConfigError

__all__ = ["CacheOptions", "Recordings", "TierOptions"]

_CACHE_BYTES: Final = 8 << 30


def _check_location(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, (str, os.PathLike)) or not os.fspath(value)):
        raise ConfigError(
            f"{attribute.name}={value!r} in {type(instance).__name__} is not a path or URL. Give a path, or a URL such "
            "as s3://bucket/folder."
        )


def _check_kind(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(
            f"kind={value!r} in TierOptions is not a string. Give the name of a tier kind, or pass a Tier object "
            "directly to open_store, as hot= or warm=."
        )


def _check_bytes(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(
            f"max_bytes={value!r} in CacheOptions is not a number of bytes. Give a whole number of 0 or more."
        )


@attrs.frozen
class Recordings:
    """The location of a store's recordings, for `open_store`.

    Example:
        >>> import cdrkit
        >>> recordings = cdrkit.Recordings(
        ...     "/var/spool/asterisk/monitor/{start:%Y/%m/%d}/{recording}", timezone="Europe/London", suffixes=["mp3"]
        ... )
        >>> store = cdrkit.open_store("memory://recordings-example", recordings=recordings)

    Attributes:
        template: A template over the fields of a call, such as ``/var/spool/asterisk/monitor/{recording}`` or
            ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav``. Or a callable that takes a `CallRecord` and returns the
            recording's path below *root*, or None if the call has no recording.
        root: The folder or URL that contains every recording. A path outside *root* is refused. The default is the
            folder before the template's first placeholder. A callable requires *root*.
        storage_options: Options of the filesystem of the recordings (credentials, endpoint).
        timezone: IANA name of the time zone for instants in the template. Folders named by date usually use the
            switch's local date.
        suffixes: Other suffixes to try, such as ``["mp3"]`` if files were compressed later. The first file that exists
            is used.
    """

    template: RecordingLocation = "{recording}"
    root: str | os.PathLike[str] | None = attrs.field(default=None, validator=_check_location)
    storage_options: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    timezone: str = "UTC"
    suffixes: Iterable[str] = ()


@attrs.frozen
class CacheOptions:
    """The options of the local cache of remote hot segments, for `open_store`.

    Processes may share the folder. The copies hold unencrypted call records.

    Example:
        >>> import cdrkit
        >>> cdrkit.CacheOptions("/var/cache/calls", max_bytes=2 << 30).max_bytes
        2147483648

    Attributes:
        path: A local folder; the default is ``cdrkit/segments`` in the user's cache folder.
        max_bytes: The size of the cache in bytes, 8 GiB by default. With 0, no copies are kept.
    """

    path: str | os.PathLike[str] | None = attrs.field(default=None, validator=_check_location)
    max_bytes: int = attrs.field(default=_CACHE_BYTES, validator=_check_bytes)


@attrs.frozen
class TierOptions:
    """The location and the kind of a tier, for `open_store`.

    Example:
        >>> import cdrkit
        >>> warm = cdrkit.TierOptions("s3://acme-calls/warm", storage_options={"profile": "calls"})

    Attributes:
        url: The folder or URL of the tier; the default is ``hot`` or ``warm`` below the URL of the store.
        kind: The name of the tier's kind. The defaults are ``arrow`` for the hot tier and ``parquet`` for the warm
            tier. Other packages can add kinds.
        storage_options: Options of the filesystem of *url* (credentials, endpoint). The default is the storage
            options of the store.
    """

    url: str | os.PathLike[str] | None = attrs.field(default=None, validator=_check_location)
    kind: str | None = attrs.field(default=None, validator=_check_kind)
    storage_options: Mapping[str, object] | None = attrs.field(default=None, repr=False)
