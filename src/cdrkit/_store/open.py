"""Open a store: build a `Store` from a URL and options."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Final

from cdrkit._access import check_secret
from cdrkit._files import Files, is_url, open_files
from cdrkit._numbers import check_region
from cdrkit._recordings import Locator, make_locator
from cdrkit._store.backend import Backend
from cdrkit._store.options import CacheOptions, Recordings, TierOptions
from cdrkit._store.store import Store
from cdrkit.errors import ConfigError, NotFoundError
from cdrkit.storage.log import Log
from cdrkit.storage.tiers import HotTier, SegmentCache, Tier, WarmTier, default_cache_folder, make_tier

__all__ = ["open_store"]

_HOT: Final = "arrow"
_WARM: Final = "parquet"


def open_store(
    url: str | os.PathLike[str] | None = None,
    *,
    hot: str | os.PathLike[str] | Tier | TierOptions | None = None,
    warm: str | os.PathLike[str] | Tier | TierOptions | None = None,
    region: str | None = None,
    recordings: str | Recordings | None = None,
    cache: str | os.PathLike[str] | CacheOptions | None = None,
    storage_options: Mapping[str, object] | None = None,
    secret: str | bytes | None = None,
    must_exist: bool = False,
) -> Store:
    """Open a store of calls in a folder, or in a bucket at any fsspec URL.

    If the store does not exist yet, the first write creates it.

    Example:
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://open-example", region="GB")
        >>> store.count()
        0

    Args:
        url: The folder or URL of the whole store. Its tiers are in the folders ``hot`` and ``warm`` below *url*.
        hot: The hot tier's folder, URL or `TierOptions`, instead of *url*. The filesystem must support exclusive
            creation of files. Or a `cdrkit.storage.Tier`, together with *url* for the log.
        warm: The warm tier's folder, URL or `TierOptions`, or a `cdrkit.storage.Tier`. The default is the folder
            ``warm`` below *url* or *hot*.
        region: ISO 3166 code of the region to which numbers in national form belong (``GB``: ``020 7946 0018``). The
            first write fixes the region of the store. After that, *region* may be omitted.
        recordings: The location of recordings: a template over the fields of a call, such as
            ``/var/spool/asterisk/monitor/{recording}``, or `Recordings`. For a callable, give
            ``Recordings(callable, root=...)``.
        cache: A local folder for copies of hot segments from a remote hot tier, or `CacheOptions`. The default is
            ``cdrkit/segments`` in the user's cache folder, with up to 8 GiB. The copies hold unencrypted call records.
        storage_options: Options of the filesystem of *url* or *hot* (credentials, endpoint). They also apply to
            the warm tier, unless *warm* has its own location.
        secret: The key that signs the cursors and tokens of scopes, at least 16 bytes. Use the same secret in
            all processes that serve cursors and tokens. The default is a random key; cursors and tokens then work only
            with this `Store` object.
        must_exist: Whether to raise an error if the store does not exist.

    Returns:
        The store. Unless *must_exist* is set, opening a store reads and writes nothing.

    Raises:
        ConfigError: When a URL, an option, the region, the template or a tier is invalid.
        NotFoundError: When the store does not exist and *must_exist* is set.
    """
    hot_tier, hot_options = _split_tier("hot", hot)
    warm_tier, warm_options = _split_tier("warm", warm)
    name = _check_location(url, hot_options.url)
    hot_files = open_files(
        os.path.join(name, "hot") if hot_options.url is None else name,
        storage_options if hot_options.storage_options is None else hot_options.storage_options,
    )
    warm_files = _open_warm_files(name, warm_options, storage_options)
    hot_kind, warm_kind = hot_options.kind or _HOT, warm_options.kind or _WARM
    if hot_tier is None:
        hot_tier = _make_hot(hot_kind, hot_files, cache)
    else:
        _refuse_cache(repr(hot_tier), cache)
    hot_tier = make_tier(hot_tier, hot_files, {})
    is_parquet = warm_tier is None and warm_kind == _WARM
    warm_tier = make_tier(warm_kind if warm_tier is None else warm_tier, warm_files, {_WARM: WarmTier})
    if hot_tier.name == warm_tier.name:
        raise ConfigError(
            f"Both tiers are named {hot_tier.name!r}. Tier names must differ: each segment records its tier by name."
        )
    backend = Backend(
        name=name,
        log=Log(hot_files, on_removed=hot_tier.close if isinstance(hot_tier, HotTier) else None),
        hot=hot_tier,
        warm=warm_tier,
        warm_files=warm_files if is_parquet else None,
        region=check_region(region),
        locator=_make_locator(recordings),
    )
    store = Store(backend, secrets.token_bytes(32) if secret is None else check_secret(secret))
    if must_exist:
        _check_exists(store, name)
    return store


def _split_tier(role: str, given: object) -> tuple[Tier | None, TierOptions]:
    """Split the argument for one tier into a tier object and tier options.

    The tier object is None unless the argument is a tier.
    """
    if given is None:
        return None, TierOptions()
    if isinstance(given, TierOptions):
        return None, given
    if isinstance(given, (str, os.PathLike)):
        if not os.fspath(given):
            raise ConfigError(
                f"{role}={given!r} is not a folder or URL. Give a path, or the URL of a bucket."
            )
        return None, TierOptions(given)
    tier: Tier = given  # type: ignore[assignment]  # make_tier checks its members
    return tier, TierOptions()


def _check_location(url: object, hot_url: str | os.PathLike[str] | None) -> str:
    """Return the store's location, which is a folder or a URL.

    Raises:
        ConfigError: When both or neither are given, or *url* is neither a string nor a path.
    """
    if url is not None and (not isinstance(url, (str, os.PathLike)) or not os.fspath(url)):
        raise ConfigError(
            f"{url!r} is not a folder or URL. Give a path, or a URL such as s3://bucket/folder."
        )
    if url is None and hot_url is None:
        raise ConfigError(
            "The store has no location. Give the store's folder or URL, or give the hot tier's location as hot=."
        )
    if url is not None and hot_url is not None:
        raise ConfigError(
            f"The store has two locations, {os.fspath(url)!r} and hot={os.fspath(hot_url)!r}. Give only one of them."
        )
    return os.fspath(url if url is not None else hot_url or "")


def _open_warm_files(name: str, warm: TierOptions, storage_options: Mapping[str, object] | None) -> Files:
    if warm.url is not None:
        return open_files(warm.url, warm.storage_options)
    if warm.storage_options is not None:
        raise ConfigError(
            "The warm tier has storage options but no location. Give both: warm=TierOptions(url, storage_options=...)."
        )
    return open_files(os.path.join(name, "warm"), storage_options)


def _make_hot(kind: str, files: Files, cache: object) -> Tier:
    if kind != _HOT:
        _refuse_cache(f"the kind {kind!r}", cache)
    return make_tier(kind, files, {_HOT: lambda files: HotTier(files, _make_cache(files, cache))})


def _refuse_cache(tier: str, cache: object) -> None:
    if cache is not None:
        raise ConfigError(
            f"cache= works only with a hot tier of the kind 'arrow', not with {tier}. Omit cache=."
        )


def _make_cache(files: Files, cache: object) -> SegmentCache | None:
    if cache is None:
        options = CacheOptions()
    elif isinstance(cache, CacheOptions):
        options = cache
    elif isinstance(cache, (str, os.PathLike)):
        options = CacheOptions(cache)
    else:
        raise ConfigError(f"cache={cache!r} is not a folder. Give a folder's path or a CacheOptions object.")
    is_near = files.local_path("_log") is not None or files.url.startswith("memory://")
    if is_near and options.path is not None:
        raise ConfigError(f"The hot tier {files.url!r} is on this machine and needs no cache. Omit cache=.")
    if is_near or options.max_bytes == 0:
        return None
    folder = default_cache_folder() if options.path is None else os.fspath(options.path)
    return SegmentCache(folder, options.max_bytes)


def _make_locator(recordings: str | Recordings | None) -> Locator:
    if not isinstance(recordings, Recordings):
        return make_locator(recordings)
    return make_locator(
        recordings.template,
        root=recordings.root,
        options=recordings.storage_options,
        timezone=recordings.timezone,
        suffixes=recordings.suffixes,
    )


def _check_exists(store: Store, name: str) -> None:
    """Raise an error unless the store exists.

    Raises:
        NotFoundError: When the store does not exist, or its log was lost.
    """
    if store.exists:
        return
    for problem in store.maintenance.verify().problems:
        raise NotFoundError(problem, url=name)
    folder, tier = os.path.split(os.path.abspath(name))
    if tier in ("hot", "warm") and not is_url(name) and os.path.isdir(os.path.join(folder, "hot", "_log")):
        raise NotFoundError(f"{name!r} is a tier of a store. Give the store's folder {folder!r}.", url=name)
    raise NotFoundError(
        f"No store exists at {name!r}. To create a store, run cdrkit ingest {name} FILE, or call append() in Python.",
        url=name,
    )
