"""What other packages bring: entry points, found by their names, loaded when first asked for."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from cdrkit.errors import ConfigError

__all__ = ["plugin_names", "load_plugin"]


def plugin_names(group: str) -> set[str]:
    """Return the names in the entry point group *group*; nothing is loaded."""
    return set(metadata.entry_points(group=group).names)


def load_plugin(group: str, name: str, what: str) -> Any:
    """Return what other packages bring as *name*, or None when none does.

    Args:
        group: The entry point group.
        name: A name in it.
        what: What such a thing is called in the message: ``format``.

    Raises:
        ConfigError: When the package that brings it cannot be loaded.
    """
    found = [point for point in metadata.entry_points(group=group) if point.name == name]
    if not found:
        return None
    try:
        return found[0].load()
    except Exception as exc:  # whatever another package's import raises
        raise ConfigError(
            f"The {what} {name!r} comes from {found[0].value!r}, which cannot be loaded: {exc!r}. "
            "Reinstall or upgrade the package that brings it."
        ) from exc
