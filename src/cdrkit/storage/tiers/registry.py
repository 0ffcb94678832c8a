"""Kinds of tiers: an instance, or a name of this package, or one that others announce as ``cdrkit.tiers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from cdrkit._files import Files
from cdrkit._runtime import load_plugin, plugin_names
from cdrkit.errors import ConfigError, suggestion
from cdrkit.storage.tiers.tier import Tier

__all__ = ["TierFactory", "make_tier"]

#: Makes a tier in the place that is given.
TierFactory: TypeAlias = Callable[[Files], Tier]

_GROUP: Final = "cdrkit.tiers"
_MEMBERS: Final = tuple(name for name in vars(Tier) if not name.startswith("_"))


def make_tier(kind: str | Tier, files: Files, built_in: Mapping[str, TierFactory]) -> Tier:
    """Return the tier that *kind* is, or names.

    Args:
        kind: A tier; it is taken as it is, with a place of its own. Or a name.
        files: The place in which one that is named is made.
        built_in: The kinds of this package; they come before those of others.

    Raises:
        ConfigError: When there is no such kind, when the package that brings it cannot be loaded, or when that is no
            tier.
    """
    if not isinstance(kind, str):
        return _checked(kind)
    factory: TierFactory | None = built_in.get(kind) or load_plugin(_GROUP, kind, "tier")
    if factory is None:
        names = sorted({*built_in, *plugin_names(_GROUP)})
        hint, _ = suggestion(kind, names)
        raise ConfigError(f"There is no tier {kind!r}.{hint} Tiers: {', '.join(names)}.")
    try:
        made = factory(files)
    except TypeError as exc:
        raise ConfigError(
            f"The tier {kind!r} is {factory!r}, which cannot make one of its files: {exc}. Upgrade what brings it."
        ) from exc
    return _checked(made)


def _checked(tier: Tier) -> Tier:
    lacking = [name for name in _MEMBERS if not hasattr(tier, name)]
    if lacking:
        raise ConfigError(f"{tier!r} is no tier: it has no {', '.join(lacking)}. See cdrkit.storage.Tier.")
    if isinstance(tier, type):
        raise ConfigError(f"{tier!r} is a class; give an instance, made with the files that it keeps.")
    if not isinstance(tier.name, str) or not tier.name:
        raise ConfigError(f"{tier!r} has the name {tier.name!r}; the name of a tier is a text.")
    return tier
