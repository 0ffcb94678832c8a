"""Opening a store: from a URL, options and kinds of tiers to what applications use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping

from cdrkit._access import checked_secret
from cdrkit._files import Files, open_files
from cdrkit._numbers import check_region
from cdrkit._recordings import RecordingPlace, recording_locator
from cdrkit._store.store import Store
from cdrkit.errors import ConfigError
from cdrkit.storage.log import Log
from cdrkit.storage.tiers import HotTier, SegmentCache, Tier, WarmTier, default_cache_folder, make_tier

__all__ = ["open_store"]


def open_store(
    url: str | os.PathLike[str] | None = None,
    *,
    hot: str | os.PathLike[str] | None = None,
    warm: str | os.PathLike[str] | None = None,
    region: str | None = None,
    recordings: RecordingPlace | None = None,
    recordings_root: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int = 8 << 30,
    storage_options: Mapping[str, object] | None = None,
    warm_options: Mapping[str, object] | None = None,
    recordings_options: Mapping[str, object] | None = None,
    recordings_timezone: str = "UTC",
    recordings_suffixes: Iterable[str] = (),
    secret: str | bytes | None = None,
    hot_tier: str | Tier = "arrow",
    warm_tier: str | Tier = "parquet",
) -> Store:
    """Open a store of calls: a folder, or a bucket by any fsspec URL. It is made at the first write.

    Example:
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://open-example", region="GB")
        >>> store.count()
        0

    Args:
        url: The one folder that holds everything: the tiers lie in ``hot`` and ``warm`` below it.
        hot: The hot tier's own folder or URL, instead of *url*. Its filesystem must be able to create exclusively.
        warm: The warm tier's own folder or URL; by default ``warm`` below *url* or *hot*.
        region: ISO 3166 code of the region whose numbers are written in national form (``GB``: ``020 7946 0018``).
            It is fixed when the store is made; later it need not be given.
        recordings: Where a call's recording lies: a template over its fields, such as
            ``/var/spool/asterisk/monitor/{recording}`` or ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav``, or a callable
            that takes a `CallRecord` and returns its path.
        recordings_root: The folder that no recording may lie outside of; needed with a callable.
        cache: A local folder for copies of hot segments, where the hot tier is not on the local disk; by default
            ``cdrkit/segments`` in the user's cache folder. Processes share it. It holds call records as they are.
        cache_bytes: How much room that may take; 0: no copies are kept.
        storage_options: Options for the filesystem of *url* or *hot* (credentials, endpoint).
        warm_options: The same for *warm*; without a *warm* of its own, *storage_options* are the warm tier's too.
        recordings_options: The same for the recordings.
        recordings_timezone: The zone in which the template's instants are written: folders by date are, as a rule, by
            the switch's local date.
        recordings_suffixes: What a recording may end in besides, such as ``["mp3"]`` where files were compressed
            since; the first that is there is taken.
        secret: What signs the cursors and tokens of scopes, 16 bytes or more: the same in every process that serves
            them. Without one, they are good in this process, with this store.
        hot_tier: How hot calls are kept: the name of a kind of tier, or a tier, which keeps them in a place of its
            own. Kinds besides ``arrow`` come from other packages. The log lies in the hot tier's folder in any case.
        warm_tier: How warm calls are kept: likewise; the kind of this package is ``parquet``.

    Returns:
        The store. Nothing is read or written yet.

    Raises:
        ConfigError: When a URL, an option, the region, the template or a tier cannot work.
    """
    for place in (url, hot, warm):
        if place is not None and not isinstance(place, (str, os.PathLike)):
            raise ConfigError(
                f"{place!r} is not a folder or URL; give a path, or a URL such as s3://bucket/folder."
            )
    if (url is None) == (hot is None) or "" in (url, hot, warm):
        raise ConfigError("Give the store's folder or URL, or hot= with the hot tier's own; one of them.")
    if warm is None and warm_options is not None:
        raise ConfigError("warm_options= are for a warm tier of its own; give warm= too.")
    base = os.fspath(url if url is not None else hot or "")
    hot_files = open_files(os.path.join(base, "hot") if hot is None else hot, storage_options)
    warm_files = (
        open_files(warm, warm_options) if warm else open_files(os.path.join(base, "warm"), storage_options)
    )
    if cache is not None and hot_tier != "arrow":
        raise ConfigError(f"cache= is for hot_tier='arrow'; {hot_tier!r} has its own ways. Leave it away.")
    hot_made = make_tier(
        hot_tier, hot_files, {"arrow": lambda files: HotTier(files, _cache_for(files, cache, cache_bytes))}
    )
    warm_made = make_tier(warm_tier, warm_files, {"parquet": WarmTier})
    if hot_made.name == warm_made.name:
        raise ConfigError(
            f"Both tiers are named {hot_made.name!r}; a call is told by its tier's name where it is."
        )
    return Store(
        name=os.fspath(url if url is not None else hot or ""),
        hot=hot_made,
        warm=warm_made,
        log=Log(hot_files, on_removed=hot_made.close if isinstance(hot_made, HotTier) else None),
        region=check_region(region),
        locator=recording_locator(
            recordings,
            root=recordings_root,
            options=recordings_options,
            timezone=recordings_timezone,
            suffixes=recordings_suffixes,
        ),
        archive_files=warm_files if warm_tier == "parquet" else None,
        secret=secrets.token_bytes(32) if secret is None else checked_secret(secret),
    )


def _cache_for(files: Files, folder: str | os.PathLike[str] | None, limit_bytes: int) -> SegmentCache | None:
    is_near = files.local_path("_log") is not None or files.url.startswith("memory://")
    if is_near and folder is not None:
        raise ConfigError(
            f"The hot tier {files.url!r} needs no cache: it is on this machine. Leave cache= away."
        )
    if is_near or limit_bytes == 0:
        return None
    return SegmentCache(os.fspath(folder) if folder is not None else default_cache_folder(), limit_bytes)
