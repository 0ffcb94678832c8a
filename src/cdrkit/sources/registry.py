"""Formats by name: those of this package, and those that others announce in the entry point group ``cdrkit.sources``.

A source's factory is called with keyword options and gives a `Source`. It is loaded when a format of its name is
first asked for, and not before.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from cdrkit._runtime import load_plugin, plugin_names
from cdrkit.errors import ConfigError, UnknownFormatError, suggestion
from cdrkit.sources.contract import Source

__all__ = ["SourceFactory", "available", "find_factory", "make_source"]

#: Makes a source; its keyword arguments are the options of the format.
SourceFactory: TypeAlias = Callable[..., Source]

_GROUP: Final = "cdrkit.sources"
#: Where each format's factory is: a module of this package and a name in it.
_BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "asterisk-csv": "asterisk.cdr_csv:AsteriskCsv",
        "asterisk-custom": "asterisk.cdr_custom:AsteriskCustom",
        "asterisk-sql": "asterisk.cdr_sql:AsteriskSql",
        "3cx": "pbx.threecx:ThreeCx",
        "cdrkit-csv": "cdrkit_csv:CdrkitCsv",
        "connexcs-csv": "pbx.connexcs:ConnexCsCsv",
        "cucm": "pbx.cucm:Cucm",
        "freeswitch-csv": "freeswitch.cdr_csv:FreeSwitchCsv",
        "freeswitch-json": "freeswitch.json_cdr:FreeSwitchJson",
        "freeswitch-xml": "freeswitch.xml_cdr:FreeSwitchXml",
        "freepbx": "asterisk.cdr_sql:FreePbx",
        "generic": "generic:Generic",
        "kamailio-acc": "sip_proxies.kamailio:KamailioAcc",
        "kamailio-cdrs": "sip_proxies.kamailio:KamailioCdrs",
        "opensips-acc": "sip_proxies.kamailio:OpenSipsAcc",
        "plivo": "cloud.plivo:Plivo",
        "telnyx": "cloud.telnyx:Telnyx",
        "twilio": "cloud.twilio:Twilio",
        "vonage": "cloud.vonage:Vonage",
    }
)


def available() -> tuple[str, ...]:
    """Return the names of all formats that can be read, sorted, without loading those of other packages.

    Example:
        >>> "asterisk-csv" in available()
        True
    """
    return tuple(sorted({*_BUILT_IN, *plugin_names(_GROUP)}))


def make_source(name: str, options: Mapping[str, object]) -> Source:
    """Return the source *name*, set up by *options*.

    Example:
        >>> make_source("asterisk-csv", {"timezone": "Europe/London"}).timezone
        'Europe/London'

    Args:
        name: A name of `available`. Formats of this package come before those of others.
        options: The source's own options, by name.

    Raises:
        UnknownFormatError: When no source has that name.
        ConfigError: When an option is unknown, missing or cannot work, or the package that brings the source
            cannot be loaded.
    """
    factory = find_factory(name)
    parameters = _parameters(name, factory)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for option in options:
        if option not in known and not takes_any:
            hint, _ = suggestion(str(option), known)
            there_are = f"its options are {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"The format {name!r} has no option {option!r}; {there_are}.{hint}")
    for parameter in parameters:
        if parameter.name in known and parameter.default is parameter.empty and parameter.name not in options:
            raise ConfigError(f"The format {name!r} needs the option {parameter.name!r}; give it.")
    return factory(**options)


def find_factory(name: str) -> SourceFactory:
    """Return what makes sources of the format *name*.

    Args:
        name: A name of `available`. Formats of this package come before those of others.

    Raises:
        UnknownFormatError: When no source has that name.
        ConfigError: When the package that brings the source cannot be loaded.
    """
    built_in = _BUILT_IN.get(name) if isinstance(name, str) else None
    if built_in is None:
        return _plugged_in(name)
    module, _, attribute = built_in.partition(":")
    factory: SourceFactory = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    return factory


def _plugged_in(name: str) -> SourceFactory:
    factory: SourceFactory | None = load_plugin(_GROUP, name, "format")
    if factory is None:
        names = available()
        hint, _ = suggestion(str(name), names)
        raise UnknownFormatError(
            f"There is no format {name!r}.{hint} Formats: {', '.join(names)}.",
            name=str(name),
            available=names,
        )
    return factory


def _parameters(name: str, factory: SourceFactory) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError) as exc:
        found: Any = factory
        raise ConfigError(f"The format {name!r} is {found!r}, which cannot make a source: {exc}.") from exc
