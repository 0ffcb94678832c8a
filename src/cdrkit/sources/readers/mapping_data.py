"""Convert mappings and rules to dicts for JSON or TOML, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from cdrkit.errors import CdrError, ConfigError, suggestion

__all__ = ["build_value", "plain_data"]


def build_value(cls: Any, data: Mapping[Any, Any], label: str) -> Any:
    """Create an instance of an attrs class from a dict of arguments.

    Args:
        cls: The class.
        data: The arguments, by name.
        label: What error messages call the value, such as ``the mapping``.

    Raises:
        ConfigError: When an argument is unknown, missing or invalid.
    """
    known = [attribute.name for attribute in attrs.fields(cls)]
    for key in data:
        if key not in known:
            hint, _ = suggestion(str(key), known)
            raise ConfigError(f"Unknown key {key!r} in {label}; the known keys are {', '.join(known)}.{hint}")
    try:
        return cls(**data)
    except CdrError as exc:
        raise ConfigError(f"In {label}: {exc}") from exc
    except TypeError as exc:
        raise ConfigError(f"In {label}, an argument is missing or of the wrong type: {exc}.") from exc


def plain_data(value: Any) -> dict[str, Any]:
    """Return an attrs object's constructor arguments as a dict for JSON or TOML.

    The dict contains only lists, dicts, strings and numbers. Arguments that have their default value are omitted.
    """
    data: dict[str, Any] = {}
    for attribute in attrs.fields(type(value)):
        item = getattr(value, attribute.name)
        default = attribute.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at runtime
            default = {}
        if item != default:
            data[attribute.name] = _plain_item(item)
    return data


def _plain_item(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {key: _plain_item(value) for key, value in item.items()}
    return list(map(_plain_item, item)) if isinstance(item, tuple) else item
