"""The registry of formats, from cdrkit and from other packages.

A package declares its formats in the entry point group ``cdrkit.sources``. The factory of a format is called with
keyword options and returns a `Source`. The factory is loaded when its format is first used.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from cdrkit._runtime import load_plugin, plugin_names
from cdrkit.errors import ConfigError, UnknownFormatError, suggestion
from cdrkit.sources.contract import Source

__all__ = ["FormatName", "SourceFactory", "available", "find_factory", "make_source"]

#: A callable that makes a source. Its keyword arguments are the options of the format.
SourceFactory: TypeAlias = Callable[..., Source]

#: The name of a format of cdrkit. Formats of other packages are text beyond this list.
FormatName: TypeAlias = Literal[
    "3cx", "asterisk-csv", "asterisk-custom", "asterisk-sql", "cdrkit-csv", "connexcs-csv", "cucm", "freepbx",
    "freeswitch-csv", "freeswitch-json", "freeswitch-xml", "generic", "kamailio-acc", "kamailio-cdrs",
    "opensips-acc", "plivo", "telnyx", "twilio", "vonage",
]  # fmt: skip

_GROUP: Final = "cdrkit.sources"
#: The factory of each format: a module of this package, and a name in it.
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
        "kamailio-acc": "sip_proxies.acc:KamailioAcc",
        "kamailio-cdrs": "sip_proxies.acc_cdrs:KamailioCdrs",
        "opensips-acc": "sip_proxies.acc:OpenSipsAcc",
        "plivo": "cloud.plivo:Plivo",
        "telnyx": "cloud.telnyx:Telnyx",
        "twilio": "cloud.twilio:Twilio",
        "vonage": "cloud.vonage:Vonage",
    }
)


def available() -> tuple[str, ...]:
    """Return the names of all available formats.

    Formats of other packages are listed without loading them.

    Example:
        >>> from cdrkit.sources import available
        >>> "asterisk-csv" in available()
        True

    Returns:
        The names in alphabetical order.
    """
    return tuple(sorted({*_BUILT_IN, *plugin_names(_GROUP)}))


def make_source(name: FormatName | str, options: Mapping[str, object]) -> Source:
    """Create the source of a format.

    Example:
        >>> from cdrkit.sources import make_source
        >>> make_source("asterisk-csv", {"timezone": "Europe/London"}).timezone
        'Europe/London'

    Args:
        name: A name of `available`. A cdrkit format takes precedence over formats of the same name from other packages.
        options: The options of the format, by name.

    Raises:
        UnknownFormatError: When no format has that name.
        ConfigError: When an option is unknown, missing or invalid, or when the format's package cannot be loaded.
    """
    factory = find_factory(name)
    parameters = _parameters_of(name, factory)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for option in options:
        if option not in known and not takes_any:
            hint, _ = suggestion(str(option), known)
            listed = f"its options are {', '.join(known)}" if known else "it has no options"
            raise ConfigError(f"The format {name!r} has no option {option!r}; {listed}.{hint}")
    for parameter in parameters:
        if parameter.name in known and parameter.default is parameter.empty and parameter.name not in options:
            raise ConfigError(f"The format {name!r} needs the option {parameter.name!r}; give it.")
    return factory(**options)


def find_factory(name: FormatName | str) -> SourceFactory:
    """Return the factory that creates a format's source.

    Example:
        >>> from cdrkit.sources import find_factory
        >>> find_factory("twilio").__name__
        'Twilio'

    Args:
        name: A name of `available`. A cdrkit format takes precedence over formats of the same name from other packages.

    Raises:
        UnknownFormatError: When no format has that name.
        ConfigError: When the format's package cannot be loaded.
    """
    built_in = _BUILT_IN.get(name) if isinstance(name, str) else None
    if built_in is None:
        return _load_factory(name)
    module, _, attribute = built_in.partition(":")
    factory: SourceFactory = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    return factory


def _load_factory(name: str) -> SourceFactory:
    """Load the factory of a format that another package provides."""
    factory: SourceFactory | None = load_plugin(_GROUP, name, "format")
    if factory is None:
        names = available()
        hint, _ = suggestion(str(name), names)
        raise UnknownFormatError(
            f"Unknown format {name!r}.{hint} Formats: {', '.join(names)}.",
            name=str(name),
            available=names,
        )
    return factory


def _parameters_of(name: str, factory: object) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory).parameters.values())  # type: ignore[arg-type]  # of another package
    except (TypeError, ValueError) as exc:
        raise ConfigError(
            f"The format {name!r} cannot be used: {factory!r} cannot create a source ({exc}). "
            "Upgrade the package that provides the format."
        ) from exc
