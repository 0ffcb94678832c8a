"""Hypothesis strategies for records, conditions and queries; few values, so that they meet often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from cdrkit import CallRecord, Direction, Disposition, Expr, HangupParty, Query, field

EPOCH = datetime(2026, 10, 24, 22, tzinfo=UTC)  # a few hours before a change of clocks in Europe
NUMBERS = [
    "+442079460018",
    "0044 20 7946 0018",
    "(020) 7946-0018",
    "020 7946 0019",
    "+12125550100",
    "2041",
    "anonymous",
    "",
]
TYPED = [*NUMBERS[:-1], "+44 20 7946*", "*0018", "*7946*", "204*", "Anonymous", "0207946*"]
TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "=1+1",
    "é",
    "😀",
    'q"uote',
    "line\nend",
    "comma,",
    " lead",
    "+44",
    "-5",
    "'=x",
    "''+",
    "'+44",
    "'",
]

instants = st.builds(
    lambda hours, micros: EPOCH + timedelta(hours=hours, microseconds=micros),
    st.integers(0, 72),
    st.sampled_from([0, 0, 1, 999_999]),
)
money = st.integers(-(10**9), 10**9).map(lambda units: Decimal(units) / 10**6)
few_money = st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("1.25"), Decimal(-1)])
texts = st.sampled_from(TEXTS)
ids = st.sampled_from(["1001", "1002", "1003"])
numbers = st.sampled_from(NUMBERS)
floats = st.sampled_from([0.0, 0.5, 1.25, 60.0])
mos = st.sampled_from([1.0, 3.7, 4.3, 4.41])


def or_none(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return *strategy*, or None at times."""
    return st.none() | strategy


def records(starts: st.SearchStrategy[datetime] = instants) -> st.SearchStrategy[CallRecord]:
    """Return records that fill a good part of the fields with few values."""
    return st.builds(
        CallRecord,
        call_id=st.sampled_from(["a", "b", "c", "é", "z9"]),
        start=starts,
        answer=or_none(instants),
        linked_id=or_none(ids),
        switch=or_none(st.sampled_from(["sw2", "sw1", "sw10"])),
        direction=or_none(st.sampled_from(Direction)),
        disposition=or_none(st.sampled_from(Disposition)),
        hangup_party=or_none(st.sampled_from(HangupParty)),
        source=or_none(numbers),
        destination=or_none(numbers),
        did=or_none(numbers),
        source_name=or_none(texts),
        customer_id=or_none(ids),
        reseller_id=or_none(ids),
        duration=or_none(st.sampled_from([0, 1, 5, 3600])),
        billed_duration=or_none(st.sampled_from([0, 60, 3600])),
        sip_code=or_none(st.sampled_from([200, 486, 503])),
        ring_duration=or_none(floats),
        mos=or_none(mos),
        charge=or_none(few_money),
        currency=or_none(st.sampled_from(["GBP", "USD"])),
        recording=or_none(texts),
    )


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "start": instants,
    "answer": instants,
    "switch": st.sampled_from(["sw2", "sw1", "sw10", "none"]),
    "direction": st.sampled_from(Direction),
    "disposition": st.sampled_from(Disposition),
    "source": numbers,
    "source_name": texts,
    "customer_id": ids,
    "reseller_id": ids,
    "duration": st.sampled_from([-1, 0, 1, 5, 3600, 2**40]),
    "sip_code": st.sampled_from([200, 486, 503]),
    "ring_duration": floats,
    "mos": mos,
    "charge": few_money,
    "currency": st.sampled_from(["GBP", "USD"]),
}
TEXT_FIELDS = ["source_name", "source", "customer_id", "switch", "recording"]
WORDS = {"direction", "disposition"}


@st.composite
def leaves(
    draw: st.DrawFn,
    names: Sequence[str] = tuple(sorted(VALUES)),
    kinds: Sequence[str] = ("compare", "compare", "in", "null", "text"),
) -> Expr:
    """Return a condition on one field."""
    name = draw(st.sampled_from(names))
    kind = draw(st.sampled_from(kinds))
    if kind == "null":
        return field(name).is_null()
    if kind == "in":
        return field(name).is_in(draw(st.lists(VALUES[name], max_size=3)))
    if kind == "text":
        how = draw(st.sampled_from(["contains", "starts_with", "ends_with"]))
        found: Expr = getattr(field(draw(st.sampled_from(TEXT_FIELDS))), how)(draw(texts))
        return found
    value, ref = draw(VALUES[name]), field(name)
    choices = [ref == value, ref != value]
    if name not in WORDS:
        choices += [ref < value, ref <= value, ref > value, ref >= value]
    chosen: Expr = draw(st.sampled_from(choices))
    return chosen


conditions: st.SearchStrategy[Expr] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=5,
)

ORDERS = [
    "start",
    "-start",
    "call_id",
    "charge",
    "-charge",
    "source_name",
    "-switch",
    "direction",
    "mos",
    "-answer",
]
PRESETS = ["today", "yesterday", "this_week", "last_2_days", "last_26_hours", "last_1_weeks", "this_month"]
ZONES = ["UTC", "Europe/London", "Australia/Lord_Howe", "America/New_York"]


@st.composite
def rolled_up(draw: st.DrawFn) -> Query:
    """Return a query that rollups can answer, over days, parts of days, or all time."""
    query = Query()
    if draw(st.booleans()):
        edges = st.one_of(instants, instants.map(_midnight))
        first, last = sorted([draw(edges), draw(edges)])
        query = query.between(draw(st.sampled_from([None, first])), draw(st.sampled_from([None, last])))
    if draw(st.booleans()):
        query = query.connected()
    if draw(st.booleans()):
        query = query.customer(
            *draw(st.lists(st.sampled_from(["1001", "1002", "none"]), min_size=1, max_size=2))
        )
    asked = st.one_of(
        st.sampled_from([field("duration") > 0, ~(field("duration") > 0)]),
        leaves(["customer_id", "reseller_id", "direction", "currency"], ["compare", "in", "null"]),
    )
    for _ in range(draw(st.integers(0, 2))):
        one, other = draw(asked), draw(asked)
        query = query.where(draw(st.sampled_from([one, ~one, one | other, one & other, ~(one | other)])))
    return query


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Return a query that uses some of the methods."""
    query = Query()
    if draw(st.booleans()):
        first, last = sorted([draw(instants), draw(instants)])
        query = query.between(draw(st.sampled_from([None, first])), draw(st.sampled_from([None, last])))
    for preset in draw(st.lists(st.sampled_from(PRESETS), max_size=2)):
        query = query.during(preset, draw(st.sampled_from(ZONES)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        role = draw(st.sampled_from(["source", "destination", "either"]))
        match = draw(st.sampled_from([None, None, None, "exact", "prefix", "suffix", "contains"]))
        found = draw(st.lists(st.sampled_from(TYPED), min_size=1, max_size=2))
        query = query.number([text.strip("*") for text in found] if match else found, role, match)  # type: ignore[arg-type]
    if draw(st.integers(0, 5)) == 0:
        query = query.did(draw(st.sampled_from(TYPED)))
    if draw(st.integers(0, 3)) == 0:
        query = query.connected()
    if draw(st.integers(0, 3)) == 0:
        query = query.customer(*draw(st.lists(ids, min_size=1, max_size=2)))
    if draw(st.integers(0, 5)) == 0:
        query = query.direction(draw(st.sampled_from(Direction))).has_recording()
    if draw(st.integers(0, 5)) == 0:
        query = query.duration(
            at_least=draw(st.sampled_from([None, -1, 0, 5])), at_most=draw(st.sampled_from([1, 3600]))
        )
    query = query.where(*draw(st.lists(conditions, max_size=2)))
    order = draw(st.sampled_from(["", "", "newest", "newest", "other"]))
    if order == "newest":
        query = query.newest_first()
    elif order == "other":
        query = query.order_by(*draw(st.lists(st.sampled_from(ORDERS), min_size=1, max_size=2)))
    if draw(st.booleans()):
        names = draw(
            st.lists(
                st.sampled_from(["start", "call_id", "source", "charge", "duration", "mos"]),
                min_size=1,
                unique=True,
            )
        )
        query = query.columns(*names)
    if draw(st.integers(0, 2)) == 0:
        query = query.limit(draw(st.integers(0, 12)))
    return query
