"""What one viewer may see and do: a value that every plan carries, so that no way of reading goes around it.

A query becomes the scope's own before anything is planned (`Scope.bound`), and what is read becomes what may be seen
before anything leaves the plan (`Scope.shown`). Whatever stands above works with calls that hold no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, TypeAlias

import attrs
import polars as pl

from cdrkit._access.masking import NUMBER_FIELDS, masked
from cdrkit._access.signing import Seals
from cdrkit._model import FIELDS, FRAME_TYPES, known_field, parse_instant
from cdrkit._numbers import search_pattern
from cdrkit._query import (
    All,
    AnyOf,
    Beginning,
    Cursor,
    Expr,
    Missing,
    Not,
    NumberSearch,
    Query,
    field,
    fields_of,
)
from cdrkit.errors import ConfigError, QueryError, ScopeError

__all__ = ["EVERYTHING", "AuditEvent", "RecordingRight", "Scope", "named_fields", "scope_of"]

#: What a viewer may do with recordings.
RecordingRight: TypeAlias = Literal["play", "download"]

_DIGITS: Final = 4
_RIGHTS: Final = ("play", "download")
_IDENTITY: Final = ("start", "call_id")
_AMOUNTS: Final = ("rate", "connect_cost", "charge", "provider_charge")
#: What holds the same digits as a number, as a rule; it is masked with it.
_ALIKE: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("source_name",),
    "destination": ("dialled", "lrn"),
    "dialled": ("destination", "lrn"),
    "lrn": ("destination", "dialled"),
}


@attrs.frozen(kw_only=True)
class AuditEvent:
    """Something that a viewer took out of a store, as the audit hook of a scope hears of it.

    It is told before a byte leaves; when the hook raises, none does.

    Attributes:
        viewer: Who, as the application called them.
        tenant: Whose calls they may see, such as ``customer_id=1003``.
        action: ``play``, ``download`` or ``url`` of a recording, or ``export``.
        at: When, in UTC.
        call_id: The call whose recording it is; None for an export.
        start: When that call began.
        format: What is exported: ``csv``, ``arrow``, ``polars``, ``pandas``, ``records``, ``zip``.
        query: Which calls are exported.
    """

    viewer: str
    tenant: str
    action: str
    at: datetime
    call_id: str | None = None
    start: datetime | None = None
    format: str | None = None
    query: Query | None = None


@attrs.frozen(kw_only=True, eq=False)
class Scope:
    """What may be seen and done. Without anything given it narrows nothing.

    Attributes:
        tenant: Whose calls, for people.
        conditions: What holds for each of them.
        earliest: When the first of them may have begun; None: at any time.
        hidden: Fields that there are not.
        masks: Fields that are masked: how many digits at the end, or None for the whole text.
        rights: What may be done with recordings.
        viewer: Who sees them, for the audit.
        audit: What hears of exports and recordings.
        seals: What signs cursors and tokens; None: nothing is signed, nor need it be.
        seconds: How long a cursor is good for.
    """

    tenant: str = ""
    conditions: tuple[Expr, ...] = ()
    earliest: datetime | None = None
    hidden: frozenset[str] = frozenset()
    masks: Mapping[str, int | None] = attrs.field(factory=dict)
    rights: frozenset[str] = frozenset()
    viewer: str = ""
    audit: Callable[[AuditEvent], object] | None = None
    seals: Seals | None = None
    seconds: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that there are, in the catalogue's order."""
        return tuple(name for name in FIELDS if name not in self.hidden)

    # -- what is asked ------------------------------------------------------------------------------------------

    def bound(self, query: Query) -> Query:
        """Return *query* for these calls only, with nothing in it that tells more of them than may be seen.

        Raises:
            UnknownFieldError: When it names a hidden field, as for one that there is not.
            ScopeError: When it asks for what a mask covers.
            QueryError: When its cursor was not given here, was changed, or is too old.
        """
        if self is EVERYTHING:
            return query
        self._check_names(query)
        cursor = query.position
        if (
            cursor is not None
            and self.seals is not None
            and not self.seals.holds("cursor", cursor.place, cursor.seal)
        ):
            raise QueryError(
                "The cursor was not given to this viewer, was changed, or is too old; ask for the first page instead.",
                parameter="cursor",
            )
        return self.narrowed(
            attrs.evolve(query, conditions=tuple(self._beside_masks(part) for part in query.conditions))
        )

    def narrowed(self, query: Query) -> Query:
        """Return *query* for these calls only, and otherwise as it is."""
        return query.where(*self.conditions).between(self.earliest, None)

    def _check_names(self, query: Query) -> None:
        for name in named_fields(query):
            known_field(name, among=self.fields)
        for name, _ in query.order:
            if name in self.masks:
                raise _covered(name, "Nothing is ordered by it.")

    def _beside_masks(self, expr: Expr) -> Expr:
        """Return *expr* with each look at a masked field replaced by one that sees what the viewer sees."""
        if isinstance(expr, Not):
            return ~self._beside_masks(expr.inner)
        if isinstance(expr, (All, AnyOf)):
            return type(expr)(tuple(self._beside_masks(part) for part in expr.parts))
        covered = sorted(fields_of(expr) & self.masks.keys())
        if not covered or isinstance(expr, Missing):
            return expr
        if not isinstance(expr, NumberSearch):
            raise _covered(covered[0], "Ask for its beginning by a number search, such as '+44207*'.")
        if any(search_pattern(text, None, expr.match).kind != "prefix" for text in expr.texts):
            raise _covered(covered[0], "Search for its beginning, such as '+44207*'.")
        return _any_of([self._search(expr, name) for name in expr.fields])

    def _search(self, search: NumberSearch, name: str) -> Expr:
        if name in self.masks:
            return Beginning(name, search.texts, self.masks[name] or 0, search.match)
        return attrs.evolve(search, role=name)

    # -- what is read -------------------------------------------------------------------------------------------

    def readable(self, columns: Sequence[str]) -> Sequence[str]:
        """Return those of *columns* that are to be read; what is hidden is not even that."""
        if not self.hidden:
            return columns
        return [name for name in columns if name not in self.hidden] or list(_IDENTITY)

    def shown(self, frame: pl.DataFrame, columns: Sequence[str], region: str | None) -> pl.DataFrame:
        """Return *frame*, which holds what is readable of *columns*, as it may be seen: hidden fields are absent."""
        if not self.hidden and not self.masks:
            return frame
        covered = [
            masked(frame[name], digits, region)
            for name, digits in self.masks.items()
            if name in frame.columns
        ]
        absent = [
            pl.lit(None, dtype=FRAME_TYPES[name]).alias(name) for name in columns if name in self.hidden
        ]
        return frame.with_columns(covered).with_columns(absent).select(columns)

    # -- what is given out --------------------------------------------------------------------------------------

    def sealed(self, cursor: Cursor) -> Cursor:
        """Return *cursor* as `bound` takes it."""
        if self.seals is None:
            return cursor
        return attrs.evolve(cursor, seal=self.seals.seal("cursor", cursor.place, self.seconds))

    def heard(self, action: str, **facts: Any) -> None:
        """Tell the audit hook that something is about to be taken out."""
        if self.audit is not None:
            self.audit(
                AuditEvent(
                    viewer=self.viewer, tenant=self.tenant, action=action, at=datetime.now(UTC), **facts
                )
            )

    def check_right(self, right: str) -> None:
        """Refuse what may not be done with recordings.

        Raises:
            ScopeError: When *right* was not given.
        """
        if self is not EVERYTHING and right not in self.rights:
            raise ScopeError(f"This viewer may not {right} recordings; the application gives that right.")


#: The scope of a whole store.
EVERYTHING: Final = Scope()


def named_fields(query: Query) -> tuple[str, ...]:
    """Return the fields that *query* names: in conditions, as columns, as order."""
    asked = sorted({name for condition in query.conditions for name in fields_of(condition)})
    return (*asked, *(query.selected or ()), *(name for name, _ in query.order))


def _any_of(parts: list[Expr]) -> Expr:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _covered(name: str, instead: str) -> ScopeError:
    return ScopeError(f"{name} is masked: what is behind the mask cannot be asked for. {instead}")


def scope_of(
    *,
    customer_id: object,
    reseller_id: object,
    hide: object,
    mask: object,
    recordings: object,
    earliest: str | date | datetime | None,
    viewer: object,
    audit: Callable[[AuditEvent], object] | None,
    secret: bytes,
    seconds: int,
) -> Scope:
    """Return the scope that the arguments of ``Store.scoped`` describe; ``...`` stands for what was not given.

    Raises:
        ScopeError: When it names no tenant, or one that is None or empty.
        ConfigError: When anything else cannot work.
        UnknownFieldError: When it hides or masks a field that there is not.
    """
    tenants = {
        name: _ids(name, value)
        for name, value in (("customer_id", customer_id), ("reseller_id", reseller_id))
        if value is not ...
    }
    if not tenants:
        raise ScopeError("A scope is that of somebody: give customer_id=, reseller_id= or both.")
    if audit is not None and not callable(audit):
        raise ConfigError(f"audit= is called with each AuditEvent; {audit!r} cannot be called.")
    if not isinstance(viewer, str) or (audit is not None and not viewer.strip()):
        raise ConfigError(f"viewer= names who it is, for the audit; it cannot be {viewer!r}.")
    if type(seconds) is not int or not 1 <= seconds <= 10**9:
        raise ConfigError(f"expires= is a whole number of seconds above 0, not {seconds!r}.")
    masks = _masks(mask)
    hidden = _hidden(hide, masks)
    rights = frozenset(_names("recordings", recordings))
    for right in sorted(rights):
        if right not in _RIGHTS:
            raise ConfigError(f"recordings= holds 'play', 'download' or both, not {right!r}.")
    whose = " and ".join(f"{name}={', '.join(ids)}" for name, ids in tenants.items())
    # All that it may see is part of whom a text is for; but for `earliest`, which moves on with every request.
    owner = repr((tenants, viewer, sorted(hidden), sorted(masks.items(), key=repr), sorted(rights)))
    return Scope(
        tenant=whose,
        conditions=tuple(field(name).is_in(ids) for name, ids in tenants.items()),
        earliest=None if earliest is None else parse_instant(earliest, parameter="earliest"),
        hidden=hidden,
        masks={name: digits for name, digits in masks.items() if name not in hidden},
        rights=rights,
        viewer=viewer,
        audit=audit,
        seals=Seals(secret, owner),
        seconds=seconds,
    )


def _ids(name: str, value: object) -> tuple[str, ...]:
    """Return the tenant's ids: never none, for that must not come to mean all."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise ScopeError(f"{name}={value!r} is nobody; give the id as a text, or several.")
    ids = tuple(given)
    if not ids or not all(isinstance(one, str) and one.strip() for one in ids):
        raise ScopeError(f"{name}={value!r} is nobody; give the id as a text, or several.")
    return tuple(sorted(set(ids)))


def _names(what: str, value: object) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ConfigError(f"{what}= is a list of names, not {value!r}.")
    found = tuple(value)
    if not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{what}= is a list of names, not {value!r}.")
    return found


def _hidden(hide: object, masks: Collection[str]) -> frozenset[str]:
    hidden = {known_field(name).name for name in _names("hide", hide)}
    for name in _IDENTITY:
        if name in hidden:
            raise ConfigError(f"{name} cannot be hidden: start and call_id are what a call is known by.")
    if masks:
        hidden.add("extra")  # the switch's own columns hold whatever is masked, under other names
    if "currency" in hidden:
        hidden.update(_AMOUNTS)  # an amount in no currency would be added to any other
    return frozenset(hidden)


def _masks(mask: object) -> dict[str, int | None]:
    given = dict(mask) if isinstance(mask, Mapping) else dict.fromkeys(_names("mask", mask), _DIGITS)
    found: dict[str, int | None] = {}
    for name, digits in given.items():
        info = known_field(name)
        if not info.is_text or name in (*_IDENTITY, "currency"):
            raise ConfigError(
                f"{name} cannot be masked: text can, but for call_id and currency; hide it instead."
            )
        if type(digits) is not int or not 1 <= digits <= 15:
            raise ConfigError(f"mask= covers 1 to 15 digits of {name}, not {digits!r}.")
        found[name] = digits if name in NUMBER_FIELDS else None
    for name in tuple(found):
        for other in _ALIKE.get(name, ()):
            found.setdefault(other, found[name] if other in NUMBER_FIELDS else None)
    if any(name in NUMBER_FIELDS for name in found):
        found["recording"] = None  # its name holds the numbers, as a rule
    return found
