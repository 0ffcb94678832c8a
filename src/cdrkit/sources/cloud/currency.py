"""The option ``currency`` of the sources for cloud providers."""

from __future__ import annotations

import attrs

from cdrkit.sources.readers.mapping import SourceMapping

__all__ = ["set_currency"]


def set_currency(mapping: SourceMapping, currency: str | None) -> SourceMapping:
    """Return a mapping that sets the currency of all calls.

    Args:
        mapping: The mapping of a provider.
        currency: ISO 4217 code of the currency. None: the mapping is returned unchanged.
    """
    if currency is None:
        return mapping
    rules = {name: rule for name, rule in mapping.fields.items() if name != "currency"}
    return attrs.evolve(mapping, fields=rules, constants={"currency": currency})
