"""Scope options: validate the arguments of `Store.scoped`, and build a scope."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from types import EllipsisType
from typing import Final, Literal, TypeAlias

import attrs

from cdrkit._access.audit import AuditEvent
from cdrkit._access.masking import NUMBER_FIELDS
from cdrkit._access.scope import IDENTITY, Scope
from cdrkit._access.signing import TokenSigner
from cdrkit._model import find_field, parse_instant
from cdrkit._query import field
from cdrkit.errors import ConfigError, ScopeError

__all__ = ["RecordingRight", "ScopeOptions", "make_scope"]

#: A use of recordings that a scope can allow.
RecordingRight: TypeAlias = Literal["play", "download"]

_DEFAULT_DIGITS: Final = 4
_MAX_DIGITS: Final = 15
_MAX_SECONDS: Final = 10**9
_RIGHTS: Final = ("play", "download")
_AMOUNTS: Final = ("rate", "connect_cost", "charge", "provider_charge")
#: The fields that usually repeat the digits of a number field. They are masked together with that field.
_SIMILAR: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("source_name",),
    "destination": ("dialled", "lrn"),
    "dialled": ("destination", "lrn"),
    "lrn": ("destination", "dialled"),
}


@attrs.frozen(kw_only=True)
class ScopeOptions:
    """The arguments of `Store.scoped`; ``...`` stands for an id that was not given.

    Attributes:
        customer_id: One or more customer ids.
        reseller_id: One or more reseller ids.
        hide: Fields to remove.
        mask: Fields to mask; a mapping gives the number of digits.
        recordings: The allowed uses of recordings.
        earliest: The start of the earliest visible call (inclusive), or None.
        viewer: The name of the portal viewer, for audit events.
        audit: The function that receives audit events, or None.
        expires: The lifetime of a cursor in seconds.
    """

    customer_id: str | Iterable[str] | EllipsisType = ...
    reseller_id: str | Iterable[str] | EllipsisType = ...
    hide: object = ()
    mask: object = ()
    recordings: object = ()
    earliest: str | date | datetime | None = None
    viewer: object = ""
    audit: Callable[[AuditEvent], object] | None = None
    expires: object = 86_400


def make_scope(options: ScopeOptions, secret: bytes) -> Scope:
    """Build the scope that *options* describe.

    Args:
        options: The arguments of `Store.scoped`.
        secret: The secret that signs cursors and tokens.

    Raises:
        ScopeError: When no tenant is given, or a tenant is None or empty.
        ConfigError: When another option is invalid.
        UnknownFieldError: When an option hides or masks an unknown field.
    """
    tenants = {
        name: _parse_ids(name, value)
        for name, value in (("customer_id", options.customer_id), ("reseller_id", options.reseller_id))
        if value is not ...
    }
    if not tenants:
        raise ScopeError("A scope needs a tenant. Give customer_id=, reseller_id= or both.")
    viewer, audit = options.viewer, options.audit
    if audit is not None and not callable(audit):
        raise ConfigError(f"audit={audit!r} is not callable. Give a function that takes an AuditEvent.")
    if not isinstance(viewer, str) or (audit is not None and not viewer.strip()):
        raise ConfigError(
            f"viewer={viewer!r} is not valid. Give the portal viewer's name as a string that is not blank; audit "
            "events contain this name."
        )
    masks = _parse_masks(options.mask)
    hidden = _parse_hidden(options.hide, masks)
    rights = _parse_rights(options.recordings)
    # A signature covers everything that the portal viewer may see, except `earliest`, which may change with every
    # request.
    owner = repr((tenants, viewer, sorted(hidden), sorted(masks.items(), key=repr), sorted(rights)))
    return Scope(
        tenant=" and ".join(f"{name}={', '.join(ids)}" for name, ids in tenants.items()),
        conditions=tuple(field(name).is_in(ids) for name, ids in tenants.items()),
        earliest=None if options.earliest is None else parse_instant(options.earliest, parameter="earliest"),
        hidden=hidden,
        masks={name: digits for name, digits in masks.items() if name not in hidden},
        rights=rights,
        viewer=viewer,
        audit=audit,
        signer=TokenSigner(secret, owner),
        cursor_seconds=_check_seconds(options.expires),
    )


def _parse_ids(name: str, value: object) -> tuple[str, ...]:
    """Return the tenant's ids; raise an error if the list is empty."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise ScopeError(f"{name}={value!r} is not a tenant. Give an id as a string, or a list of ids.")
    ids = tuple(given)
    if not ids or not all(isinstance(one, str) and one.strip() for one in ids):
        raise ScopeError(f"{name}={value!r} is not a tenant. Give an id as a string, or a list of ids.")
    return tuple(sorted(set(ids)))


def _parse_names(option: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (str, bytes)) and isinstance(value, Iterable):
        names = tuple(value)
        if all(isinstance(name, str) for name in names):
            return names
    raise ConfigError(f"{option}={value!r} is not a list of names. Give a list of strings.")


def _parse_rights(value: object) -> frozenset[str]:
    rights = frozenset(_parse_names("recordings", value))
    for right in sorted(rights):
        if right not in _RIGHTS:
            raise ConfigError(
                f"recordings= contains {right!r}, which is unknown. Give 'play', 'download' or both."
            )
    return rights


def _parse_hidden(hide: object, masks: Collection[str]) -> frozenset[str]:
    hidden = {find_field(name).name for name in _parse_names("hide", hide)}
    for name in IDENTITY:
        if name in hidden:
            raise ConfigError(f"The field {name} cannot be hidden: start and call_id identify a call.")
    if masks:
        hidden.add("extra")  # the columns of the switch may hold masked values under other names
    if "currency" in hidden:
        hidden.update(_AMOUNTS)  # amounts of different currencies would be added up
    return frozenset(hidden)


def _parse_masks(mask: object) -> dict[str, int | None]:
    """Return the number of digits to mask in each masked field.

    The result also contains the fields related to a masked field. None masks the whole text.
    """
    given = (
        dict(mask)
        if isinstance(mask, Mapping)
        else dict.fromkeys(_parse_names("mask", mask), _DEFAULT_DIGITS)
    )
    masks: dict[str, int | None] = {}
    for name, digits in given.items():
        info = find_field(name)
        if not info.is_text or name in (*IDENTITY, "currency"):
            raise ConfigError(
                f"The field {name} cannot be masked. Hide it instead. A mask can apply to any text field except "
                "call_id and currency."
            )
        if type(digits) is not int or not 1 <= digits <= _MAX_DIGITS:
            raise ConfigError(
                f"mask={{{name!r}: {digits!r}}} is not valid. Give a number of digits from 1 to {_MAX_DIGITS}."
            )
        masks[name] = digits if name in NUMBER_FIELDS else None
    for name in tuple(masks):
        for other in _SIMILAR.get(name, ()):
            masks.setdefault(other, masks[name] if other in NUMBER_FIELDS else None)
    if any(name in NUMBER_FIELDS for name in masks):
        masks["recording"] = None  # the file names of recordings usually hold the numbers
    return masks


def _check_seconds(expires: object) -> int:
    if type(expires) is not int or not 1 <= expires <= _MAX_SECONDS:
        raise ConfigError(f"expires={expires!r} is not valid. Give a whole number of seconds above 0.")
    return expires
