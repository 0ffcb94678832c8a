"""Viewer state: validate and run the commands that change the view.

The state works without a notebook.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import attrs

from cdrkit._model import FIELDS, INSTANT, PRESETS, CallRecord, find_field, format_instant, zone_names
from cdrkit._output import DisplaySettings
from cdrkit._query import Query, check_keys
from cdrkit._recordings import Recording
from cdrkit.errors import CdrError, QueryError

__all__ = ["CallsView", "FileTransfer", "ViewResult", "ViewResultT"]

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


class ViewResult(Protocol):
    """The `Result` methods that the viewer uses."""

    def count(self) -> int:
        """Return the number of calls."""
        ...

    def page(self, size: int) -> _Page:
        """Return the first page of *size* calls."""
        ...

    def in_timezone(self, timezone: str) -> Self:
        """Return these calls, displayed in another time zone."""
        ...

    def iter_csv(self, *, headers: Literal["names", "labels"] = "names") -> Iterator[bytes]:
        """Yield the calls as pieces of CSV."""
        ...


ViewResultT = TypeVar("ViewResultT", bound=ViewResult)


@attrs.frozen(kw_only=True)
class FileTransfer:
    """A file that the browser requests piece by piece.

    Attributes:
        name: The name of the file.
        content_type: The media type.
        use: The purpose: ``play`` or ``save``.
        pieces: The bytes, read when the browser requests them.
    """

    name: str
    content_type: str
    use: Literal["play", "save"]
    pieces: Iterator[bytes]


@attrs.frozen(kw_only=True)
class _Request:
    """The filters, the order, the settings and the page that the viewer shows.

    Attributes:
        filters: The values of the form, as the browser sent them.
        order: Field names, with ``-`` before a descending field.
        settings: The time zone, the columns and the page size.
        cursors: The cursors of all pages up to the current page.
    """

    filters: Mapping[str, str]
    order: tuple[str, ...]
    settings: DisplaySettings
    cursors: tuple[str | None, ...] = (None,)


class CallsView(Generic[ViewResultT]):
    """The state of one viewer: query, filters, order and display settings.

    Commands are mappings with ``do``: ``filter`` (``filters``), ``sort`` (``field``), ``columns`` (``columns``),
    ``zone`` (``timezone``), ``size`` (``page_size``), ``page`` (``to``), ``play`` (``row``, ``turn``) and ``csv``.
    A command that fails changes nothing, and the state then contains an error message.
    """

    def __init__(
        self,
        query: Query,
        settings: DisplaySettings,
        *,
        run: Callable[[Query], ViewResultT],
        find_recording: Callable[[CallRecord], Recording],
        fields: Sequence[str] = tuple(FIELDS),
    ) -> None:
        if query.position is not None:
            raise QueryError(
                "The viewer's buttons select the page. Remove after() from the query.", parameter="cursor"
            )
        self._base = query
        self._run = run
        self._find_recording = find_recording
        self._fields = fields
        self._total = 0
        self._counted: Query | None = None
        self._turns = itertools.count(1)
        self._answers = itertools.count(1)
        order = tuple(f"-{name}" if descending else name for name, descending in query.order)
        self._show(_Request(filters={}, order=order or ("start",), settings=settings))

    # -- the state ------------------------------------------------------------------------------------------

    @property
    def query(self) -> Query:
        """The query for the calls on all pages."""
        return self._arrange(self._filter_query(self._request), self._request)

    @property
    def result(self) -> ViewResultT:
        """The result of `query`, in the displayed time zone."""
        return self._run(self.query).in_timezone(self.settings.timezone)

    @property
    def settings(self) -> DisplaySettings:
        """The time zone, the columns and the page size."""
        return self._request.settings

    def choices(self) -> dict[str, Any]:
        """Return the form's choices: fields, periods, time zones and page sizes."""
        return {
            "fields": [
                {"name": name, "label": FIELDS[name].label, "meaning": FIELDS[name].meaning}
                for name in self._fields
            ],
            "periods": [[name, name.replace("_", " ").capitalize()] for name in _PERIODS],
            "zones": zone_names(),
            "sizes": sorted({*_PAGE_SIZES, self._request.settings.page_size}),
            "within": "" if self._base == Query() else repr(self._base),
        }

    def state(self, error: str = "", note: str = "") -> dict[str, Any]:
        """Return the page, the form and a message as JSON values for the browser."""
        request, page = self._request, self._page
        first = (len(request.cursors) - 1) * request.settings.page_size + 1
        return {
            "turn": self._turn,
            "answer": next(self._answers),  # an unchanged state is sent, too
            "columns": [_column(name) for name in request.settings.columns],
            "rows": [
                {
                    "text": [text[name] for name in request.settings.columns],
                    "raw": [_raw(getattr(record, name)) for name in request.settings.columns],
                    "sound": self._has_recording(record),
                }
                for record, text in zip(page.records, page.rows(), strict=True)
            ],
            "total": self._total,
            "first": first if page.records else 0,
            "has_next": page.next_cursor is not None,
            "has_previous": len(request.cursors) > 1,
            "order": list(request.order),
            "filters": dict(request.filters),
            "timezone": request.settings.timezone,
            "page_size": request.settings.page_size,
            "error": error,
            "note": note,
        }

    # -- commands ----------------------------------------------------------------------------------------

    def handle(self, command: object) -> tuple[dict[str, Any], FileTransfer | None]:
        """Run a command that the browser sent.

        Returns:
            The new state, with an error message if the command failed, and the file that the browser requested, or
            None.
        """
        try:
            if not isinstance(command, Mapping) or not isinstance(command.get("do"), str):
                raise QueryError(f"{command!r} is not a command. Send a mapping with the key 'do'.")
            given = dict(command)
            name = given.pop("do")
            if name not in _COMMANDS:
                raise QueryError(f"Unknown command {name!r}. Commands: {', '.join(_COMMANDS)}.")
            do, parameters = _COMMANDS[name]
            check_keys(given, parameters, f"parameter of {name}")
            transfer = do(self, *(given.get(parameter) for parameter in parameters))
            return self.state(), transfer
        except CdrError as exc:
            return self.state(error=str(exc)), None

    def _filter(self, filters: object) -> None:
        if not isinstance(filters, Mapping):
            raise QueryError(f"The filters must be a mapping of strings, not {filters!r}.")
        check_keys(filters, _FILTERS, "filter")
        for name, value in filters.items():
            if not isinstance(value, str):
                raise QueryError(f"The filter {name} cannot be {value!r}. Give a string.", parameter=name)
        self._change(filters={name: value for name, value in filters.items() if value})

    def _sort(self, name: object) -> None:
        (field,) = self._check_fields([name])
        self._change(order=(f"-{field}",) if self._request.order[0] == field else (field,))

    def _columns(self, columns: object) -> None:
        if not isinstance(columns, list):
            raise QueryError(f"The columns must be a list of names, not {columns!r}.", parameter="columns")
        self._change_settings(columns=self._check_fields(columns))

    def _zone(self, timezone: object) -> None:
        self._change_settings(timezone=timezone)

    def _size(self, page_size: object) -> None:
        if not isinstance(page_size, int) or page_size > _LARGEST_PAGE:
            raise QueryError(
                f"page_size={page_size!r} is not a page size. Give a whole number from 1 to {_LARGEST_PAGE:,}."
            )
        self._change_settings(page_size=page_size)

    def _check_fields(self, names: Sequence[object]) -> list[str]:
        return [find_field(str(name), among=self._fields).name for name in names]

    def _change_settings(self, **chosen: Any) -> None:
        self._change(settings=DisplaySettings.from_dict(self._request.settings.to_dict() | chosen))

    def _turn_to(self, to: object) -> None:
        cursors = self._request.cursors
        if to == "first":
            cursors = (None,)
        elif to == "previous":
            cursors = cursors[:-1] or (None,)
        elif to == "next":
            if self._page.next_cursor is None:
                raise QueryError("This is already the last page.")
            cursors = (*cursors, self._page.next_cursor)
        else:
            raise QueryError(f"Unknown page {to!r}. Choose first, previous or next.", parameter="to")
        self._change(cursors=cursors)

    def _play(self, row: object, turn: object) -> FileTransfer:
        if turn != self._turn or not isinstance(row, int) or not 0 <= row < len(self._page.records):
            raise QueryError(
                f"Row {row!r} is not on the current page. Select a row on this page.", parameter="row"
            )
        record = self._page.records[row]
        recording = self._find_recording(record)
        if recording.size_bytes > _MOST_SOUND:
            raise QueryError(
                f"The recording has {recording.size_bytes:,} bytes, too many to play here. "
                "Copy it with store.recording(call).download(…)."
            )
        name = f"{record.call_id}.{recording.format or 'bin'}"
        pieces = _split_pieces(recording.respond().body)
        return FileTransfer(name=name, content_type=recording.content_type, use="play", pieces=pieces)

    def _csv(self) -> FileTransfer:
        if self._total > _MOST_CSV_ROWS:
            raise QueryError(
                f"{self._total:,} calls are too many for a browser's memory ({_MOST_CSV_ROWS:,} at most). "
                'Write them to a file with viewer.result.write_csv("calls.csv").'
            )
        pieces = self.result.iter_csv(headers="labels")
        return FileTransfer(
            name="calls.csv", content_type="text/csv", use="save", pieces=_split_pieces(pieces)
        )

    # -- queries -------------------------------------------------------------------------------------------------

    def _change(self, **changed: Any) -> None:
        """Update the request with the values in *changed*, and show the page.

        The first page is shown if *changed* has no cursors.
        """
        self._show(attrs.evolve(self._request, **({"cursors": (None,)} | changed)))

    def _show(self, request: _Request) -> None:
        """Read and show the page for *request*; if an error occurs, change nothing."""
        filtered = self._filter_query(request)
        total = self._total if filtered == self._counted else self._run(filtered).count()
        query = self._arrange(filtered, request)
        if request.cursors[-1] is not None:
            query = query.after(request.cursors[-1])
        zone, size = request.settings.timezone, request.settings.page_size
        page = self._run(query).in_timezone(zone).page(size)
        self._request, self._page, self._total, self._counted = request, page, total, filtered
        self._turn = next(self._turns)

    def _filter_query(self, request: _Request) -> Query:
        """Return the original query with the form's conditions added."""
        form = Query.from_params({**request.filters, "timezone": request.settings.timezone})
        query = self._base.where(*form.conditions)
        for preset in form.presets:
            query = query.during(preset.name, preset.timezone)
        return query if form.period is None else query.between(form.period.start, form.period.end)

    def _arrange(self, query: Query, request: _Request) -> Query:
        return query.columns(*request.settings.columns).order_by(*request.order)

    def _has_recording(self, record: CallRecord) -> bool:
        """Return whether a path to the call's recording is known.

        The file at this path may be missing.
        """
        try:
            self._find_recording(record)
        except CdrError:
            return False
        return True


_Command: TypeAlias = Callable[..., FileTransfer | None]
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


def _column(name: str) -> dict[str, Any]:
    info = find_field(name)
    kind = "text" if info.is_text or info.choices else "time" if info.type == INSTANT else "number"
    return {"name": name, "label": info.label, "kind": kind}


def _raw(value: object) -> object:
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, Decimal) else value


def _split_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of *chunks* in equal pieces; the last piece may be shorter."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while len(pending) >= _PIECE:
            yield bytes(pending[:_PIECE])
            del pending[:_PIECE]
    yield bytes(pending)
