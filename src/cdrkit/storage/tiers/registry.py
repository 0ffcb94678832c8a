"""The kinds of tiers, by name: the built-in kinds, and the kinds from plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from cdrkit._files import Files
from cdrkit._runtime import load_plugin, plugin_names
from cdrkit.errors import ConfigError, suggestion
from cdrkit.storage.tiers.tier import Tier

__all__ = ["TierFactory", "Tiers", "make_tier"]

#: Makes a tier that stores its segments among the files given.
TierFactory: TypeAlias = Callable[[Files], Tier]

_GROUP: Final = "cdrkit.tiers"
_MEMBERS: Final = tuple(name for name in vars(Tier) if not name.startswith("_"))


class Tiers(dict[str, Tier]):
    """The tiers of a store, by name."""

    def __missing__(self, name: str) -> Tier:
        """Raise an error because the store does not have the tier *name*.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"Some calls are in the tier {name!r}, but the store was opened with {' and '.join(self)} only. "
            f"Open the store with the tier {name!r} as hot= or warm=."
        )


def make_tier(kind: str | Tier, files: Files, built_in: Mapping[str, TierFactory]) -> Tier:
    """Return *kind* if it is a tier; if it is a name, create a tier of this kind.

    Args:
        kind: The name of a kind; or a tier, which is returned as it is.
        files: The files in which a new tier stores its segments.
        built_in: The kinds of this package; they take precedence over plugins.

    Raises:
        ConfigError: When the kind is unknown, its plugin cannot be loaded, or the result is not a tier.
    """
    if not isinstance(kind, str):
        return _check_tier(kind)
    factory: TierFactory | None = built_in.get(kind) or load_plugin(_GROUP, kind, "tier")
    if factory is None:
        names = sorted({*built_in, *plugin_names(_GROUP)})
        hint, _ = suggestion(kind, names)
        raise ConfigError(f"Unknown kind of tier {kind!r}.{hint} Kinds: {', '.join(names)}.")
    try:
        made = factory(files)
    except TypeError as exc:
        raise ConfigError(
            f"{factory!r} failed to create a tier of the kind {kind!r}: {exc}. "
            "Upgrade the package that provides this kind."
        ) from exc
    return _check_tier(made)


def _check_tier(tier: Tier) -> Tier:
    lacking = [name for name in _MEMBERS if not hasattr(tier, name)]
    if lacking:
        raise ConfigError(f"{tier!r} is not a tier: it lacks {', '.join(lacking)}. See cdrkit.storage.Tier.")
    if isinstance(tier, type):
        raise ConfigError(f"{tier!r} is a class. Give an instance: call the class with the tier's files.")
    if not isinstance(tier.name, str) or not tier.name:
        raise ConfigError(f"{tier!r} has the name {tier.name!r}. The name of a tier must be a string.")
    return tier
