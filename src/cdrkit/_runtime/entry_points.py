"""Entry points: find plugins in other packages, and load a plugin by its name."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from cdrkit.errors import ConfigError

__all__ = ["load_plugin", "plugin_names"]


def plugin_names(group: str) -> set[str]:
    """Return the names in the entry point group *group* without loading any plugin."""
    return set(metadata.entry_points(group=group).names)


def load_plugin(group: str, name: str, noun: str) -> Any:
    """Load the plugin named *name*; return None if no package provides the plugin.

    Args:
        group: The entry point group.
        name: The name in that group.
        noun: The noun for such a plugin in the message: ``format``.

    Raises:
        ConfigError: When the package cannot be loaded.
    """
    points = [point for point in metadata.entry_points(group=group) if point.name == name]
    if not points:
        return None
    try:
        return points[0].load()
    except Exception as exc:  # another package's import may raise anything
        raise ConfigError(
            f"The {noun} {name!r} is provided by {points[0].value!r}, which cannot be loaded: {exc!r}. "
            "Reinstall or upgrade the package that provides it."
        ) from exc
