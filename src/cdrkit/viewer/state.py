"""What a viewer shows, and the commands that change it. No notebook is needed here, and nothing sent is trusted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import attrs

from cdrkit._model import FIELDS, INSTANT, PRESETS, CallRecord, format_instant, known_field, zone_names
from cdrkit._output import DisplaySettings
from cdrkit._query import Query, check_keys
from cdrkit._recordings import Recording
from cdrkit.errors import CdrError, QueryError

__all__ = ["Answer", "AnswerT", "CallsView", "Sending"]

_FILTERS: Final = ("connected", "during", "start", "end", "number", "role")
_PERIODS: Final = ("today", "yesterday", "last_7_days", "last_30_days", *PRESETS[2:])
_PAGE_SIZES: Final = (10, 25, 50, 100, 250)
_LARGEST_PAGE: Final = 1_000
_MOST_CSV_ROWS: Final = 100_000
_MOST_SOUND: Final = 64 << 20
_PIECE: Final = 1 << 20


class _Page(Protocol):
    @property
    def records(self) -> tuple[CallRecord, ...]: ...
    @property
    def next_cursor(self) -> str | None: ...
    def rows(self) -> list[dict[str, str]]: ...


class Answer(Protocol):
    """What a view needs of a result."""

    def count(self) -> int:
        """Return how many calls there are."""
        ...

    def page(self, size: int) -> _Page:
        """Return the first *size* calls."""
        ...

    def in_timezone(self, timezone: str) -> Self:
        """Return the same calls, shown in another zone."""
        ...

    def iter_csv(self, *, headers: Literal["names", "labels"] = "names") -> Iterator[bytes]:
        """Return the calls as CSV, piece by piece."""
        ...


AnswerT = TypeVar("AnswerT", bound=Answer)
Find: TypeAlias = Callable[[CallRecord], Recording]


@attrs.frozen(kw_only=True)
class Sending:
    """A file on its way to the browser, which asks for one piece after the other.

    Attributes:
        name: What to call it.
        content_type: Its media type.
        use: What it is for: ``play`` or ``save``.
        pieces: Its bytes, read as they are asked for.
    """

    name: str
    content_type: str
    use: Literal["play", "save"]
    pieces: Iterator[bytes]


@attrs.frozen(kw_only=True)
class _Asked:
    """What was asked for last, and can be asked again.

    Attributes:
        filters: The form's values, as they were sent.
        order: Fields, ``-`` before one that is reversed.
        settings: Zone, columns and page size.
        cursors: Where each page begins, up to the one that is shown.
    """

    filters: Mapping[str, str]
    order: tuple[str, ...]
    settings: DisplaySettings
    cursors: tuple[str | None, ...] = (None,)


class CallsView(Generic[AnswerT]):
    """The state of one viewer: a query, narrowed and shown as its user wants it.

    Commands are mappings with ``do``: ``filter`` (``filters``), ``sort`` (``field``), ``columns`` (``columns``),
    ``zone`` (``timezone``), ``size`` (``page_size``), ``page`` (``to``), ``play`` (``row``, ``turn``) and ``csv``.
    What cannot be done leaves everything as it was, and says why.
    """

    def __init__(
        self,
        query: Query,
        settings: DisplaySettings,
        *,
        ask: Callable[[Query], AnswerT],
        find: Find,
        fields: Sequence[str] = tuple(FIELDS),
    ) -> None:
        if query.position is not None:
            raise QueryError("A viewer turns the pages itself; leave after() away.", parameter="cursor")
        self._base = query
        self._ask = ask
        self._find = find
        self._fields = fields
        self._total = 0
        self._counted: Query | None = None
        self._turns = itertools.count(1)
        self._answers = itertools.count(1)
        order = tuple(f"-{name}" if descending else name for name, descending in query.order)
        self._take(_Asked(filters={}, order=order or ("start",), settings=settings))

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def query(self) -> Query:
        """All that is asked for, on whatever page."""
        return self._arranged(self._narrowed(self._asked), self._asked)

    @property
    def result(self) -> AnswerT:
        """The result of that, in the zone that is shown."""
        return self._ask(self.query).in_timezone(self.settings.timezone)

    @property
    def settings(self) -> DisplaySettings:
        """The zone, the columns and the length of a page."""
        return self._asked.settings

    def choices(self) -> dict[str, Any]:
        """Return what there is to choose from: fields, periods, zones, page sizes."""
        return {
            "fields": [
                {"name": name, "label": FIELDS[name].label, "meaning": FIELDS[name].meaning}
                for name in self._fields
            ],
            "periods": [[name, name.replace("_", " ").capitalize()] for name in _PERIODS],
            "zones": zone_names(),
            "sizes": sorted({*_PAGE_SIZES, self._asked.settings.page_size}),
            "within": "" if self._base == Query() else repr(self._base),
        }

    def shown(self, error: str = "", note: str = "") -> dict[str, Any]:
        """Return what the browser shows, as JSON values."""
        asked, page = self._asked, self._page
        first = (len(asked.cursors) - 1) * asked.settings.page_size + 1
        return {
            "turn": self._turn,
            "answer": next(self._answers),  # what is shown again is news, too
            "columns": [_head(name) for name in asked.settings.columns],
            "rows": [
                {
                    "text": [text[name] for name in asked.settings.columns],
                    "raw": [_raw(getattr(record, name)) for name in asked.settings.columns],
                    "sound": self._sound(record) is not None,
                }
                for record, text in zip(page.records, page.rows(), strict=True)
            ],
            "total": self._total,
            "first": first if page.records else 0,
            "has_next": page.next_cursor is not None,
            "has_previous": len(asked.cursors) > 1,
            "order": list(asked.order),
            "filters": dict(asked.filters),
            "timezone": asked.settings.timezone,
            "page_size": asked.settings.page_size,
            "error": error,
            "note": note,
        }

    # -- what changes it ----------------------------------------------------------------------------------------

    def handle(self, command: object) -> tuple[dict[str, Any], Sending | None]:
        """Do what a browser asks for.

        Returns:
            What is shown now, with a message when it could not be done; and the file that was asked for, if any.
        """
        try:
            if not isinstance(command, Mapping) or not isinstance(command.get("do"), str):
                raise QueryError(f"{command!r} is no command.")
            given = dict(command)
            name = given.pop("do")
            if name not in _COMMANDS:
                raise QueryError(f"There is no command {name!r}; there are: {', '.join(_COMMANDS)}.")
            do, parameters = _COMMANDS[name]
            check_keys(given, parameters, f"parameter of {name}")
            sending = do(self, *(given.get(parameter) for parameter in parameters))
            return self.shown(), sending
        except CdrError as exc:
            return self.shown(error=str(exc)), None

    def _filter(self, filters: object) -> None:
        if not isinstance(filters, Mapping):
            raise QueryError(f"Filters are a mapping of texts, not {filters!r}.")
        check_keys(filters, _FILTERS, "filter")
        for name, value in filters.items():
            if not isinstance(value, str):
                raise QueryError(f"{name} is {value!r}; a filter is text.", parameter=name)
        self._change(filters={name: value for name, value in filters.items() if value})

    def _sort(self, name: object) -> None:
        (field,) = self._known([name])
        self._change(order=(f"-{field}",) if self._asked.order[0] == field else (field,))

    def _columns(self, columns: object) -> None:
        if not isinstance(columns, list):
            raise QueryError(f"Columns are a list of names, not {columns!r}.", parameter="columns")
        self._settle(columns=self._known(columns))

    def _zone(self, timezone: object) -> None:
        self._settle(timezone=timezone)

    def _size(self, page_size: object) -> None:
        if not isinstance(page_size, int) or page_size > _LARGEST_PAGE:
            raise QueryError(f"A page here has at most {_LARGEST_PAGE:,} calls, not {page_size!r}.")
        self._settle(page_size=page_size)

    def _known(self, names: Sequence[object]) -> list[str]:
        return [known_field(str(name), among=self._fields).name for name in names]

    def _settle(self, **chosen: Any) -> None:
        self._change(settings=DisplaySettings.from_dict(self._asked.settings.to_dict() | chosen))

    def _turn_to(self, to: object) -> None:
        cursors = self._asked.cursors
        if to == "first":
            cursors = (None,)
        elif to == "previous":
            cursors = cursors[:-1] or (None,)
        elif to == "next":
            if self._page.next_cursor is None:
                raise QueryError("This is the last page.")
            cursors = (*cursors, self._page.next_cursor)
        else:
            raise QueryError(f"There is no page {to!r}; turn to first, previous or next.", parameter="to")
        self._change(cursors=cursors)

    def _play(self, row: object, turn: object) -> Sending:
        if turn != self._turn or not isinstance(row, int) or not 0 <= row < len(self._page.records):
            raise QueryError(f"Row {row!r} is not on the page that is shown now.", parameter="row")
        record = self._page.records[row]
        recording = self._find(record)
        if recording.size_bytes > _MOST_SOUND:
            raise QueryError(
                f"The recording has {recording.size_bytes:,} bytes, too many to be played here; "
                "store.recording(call).download(…) copies it."
            )
        name = f"{record.call_id}.{recording.format or 'bin'}"
        pieces = _pieces(recording.respond().body)
        return Sending(name=name, content_type=recording.content_type, use="play", pieces=pieces)

    def _csv(self) -> Sending:
        if self._total > _MOST_CSV_ROWS:
            raise QueryError(
                f"{self._total:,} calls are too many for a browser's memory ({_MOST_CSV_ROWS:,} at most); "
                'viewer.result.write_csv("calls.csv") writes them beside the notebook.'
            )
        pieces = self.result.iter_csv(headers="labels")
        return Sending(name="calls.csv", content_type="text/csv", use="save", pieces=_pieces(pieces))

    # -- asking -------------------------------------------------------------------------------------------------

    def _change(self, **changed: Any) -> None:
        """Take what was asked for, on its first page unless another one is meant."""
        self._take(attrs.evolve(self._asked, **({"cursors": (None,)} | changed)))

    def _take(self, asked: _Asked) -> None:
        """Ask anew; only when all of it went well is anything kept."""
        narrowed = self._narrowed(asked)
        total = self._total if narrowed == self._counted else self._ask(narrowed).count()
        query = self._arranged(narrowed, asked)
        if asked.cursors[-1] is not None:
            query = query.after(asked.cursors[-1])
        zone, size = asked.settings.timezone, asked.settings.page_size
        page = self._ask(query).in_timezone(zone).page(size)
        self._asked, self._page, self._total, self._counted = asked, page, total, narrowed
        self._turn = next(self._turns)

    def _narrowed(self, asked: _Asked) -> Query:
        """Return which calls are asked for: those of the first query for which the form's conditions hold, too."""
        form = Query.from_params({**asked.filters, "timezone": asked.settings.timezone})
        query = self._base.where(*form.conditions)
        for preset in form.presets:
            query = query.during(preset.name, preset.timezone)
        return query if form.period is None else query.between(form.period.start, form.period.end)

    def _arranged(self, query: Query, asked: _Asked) -> Query:
        return query.columns(*asked.settings.columns).order_by(*asked.order)

    def _sound(self, record: CallRecord) -> Recording | None:
        """Return the recording of a call that says where it lies; whether it is there, nobody has looked."""
        try:
            return self._find(record)
        except CdrError:
            return None


_Command: TypeAlias = Callable[..., Sending | None]
_COMMANDS: Final[Mapping[str, tuple[_Command, Sequence[str]]]] = {
    "filter": (CallsView._filter, ["filters"]),
    "sort": (CallsView._sort, ["field"]),
    "columns": (CallsView._columns, ["columns"]),
    "zone": (CallsView._zone, ["timezone"]),
    "size": (CallsView._size, ["page_size"]),
    "page": (CallsView._turn_to, ["to"]),
    "play": (CallsView._play, ["row", "turn"]),
    "csv": (CallsView._csv, []),
}


def _head(name: str) -> dict[str, Any]:
    info = known_field(name)
    kind = "text" if info.is_text or info.choices else "time" if info.type == INSTANT else "number"
    return {"name": name, "label": info.label, "kind": kind}


def _raw(value: object) -> object:
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, Decimal) else value


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one size, and a smaller one at the end."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= _PIECE:
            yield bytes(waiting[:_PIECE])
            del waiting[:_PIECE]
    yield bytes(waiting)
