"""The part of a store that one viewer may see: what a portal hands to a tenant's request."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NoReturn

import attrs

from cdrkit._access import EVERYTHING, RecordingRight, named_fields
from cdrkit._model import FIELDS, CallRecord, format_instant, known_field, parse_instant, records_of
from cdrkit._query import Query, field
from cdrkit._recordings import Recording
from cdrkit._store.reader import Reader, checked_record
from cdrkit.errors import CdrError, QueryError, RecordingNotFoundError, ScopeError, UnknownFieldError

__all__ = ["ScopedStore"]


class ScopedStore(Reader):
    """The calls of one tenant, as one viewer may see them: it reads like a `Store`, and cannot write.

    `Store.scoped` makes one, for a request or for a session; that costs nothing. Whatever is asked of it holds for
    the tenant's calls only: records, pages, counts, totals, tables, CSV and recordings. A hidden field is absent from
    what comes out and unknown in what is asked. A masked one shows the beginning of a number, or ``****``, and can be
    asked for no more than that. No query can widen it.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> from cdrkit import CallRecord, Query, field
        >>> store = cdrkit.open_store("memory://scoped-example", region="GB")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([
        ...     CallRecord(call_id="1", start=at, customer_id="1003", source="020 7946 0018", provider_charge="0.02"),
        ...     CallRecord(call_id="2", start=at, customer_id="1004", source="020 7946 0019"),
        ... ])
        >>> scoped = store.scoped(customer_id="1003", hide=["provider_charge"], mask=["source"])
        >>> [(call.call_id, call.source, call.provider_charge) for call in scoped.run()]
        [('1', '+44207946****', None)]
        >>> scoped.count(Query().customer("1004"))
        0
        >>> scoped.count(Query().where(field("provider_charge") > 0))
        Traceback (most recent call last):
        cdrkit.errors.UnknownFieldError: There is no field 'provider_charge'. ...
    """

    def __repr__(self) -> str:
        return f"<ScopedStore of {self._scope.tenant}>"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that there are for this viewer, in the catalogue's order: what a chooser of columns offers."""
        return self._scope.fields

    @property
    def viewer(self) -> str:
        """Who it is for, as the application called them."""
        return self._scope.viewer

    def query_from_params(self, params: object, *, ignore: Iterable[str] = ()) -> Query:
        """Return the query in a URL's parameters, as `Query.from_params` does, for this viewer.

        A hidden field is refused here already, with the words for one that does not exist.

        Raises:
            UnknownFieldError: When a parameter names a field that there is not.
            QueryError: When a parameter is unknown, or its value is not allowed.
        """
        try:
            query = Query.from_params(params, ignore=ignore)
        except QueryError as exc:
            cause = exc.__cause__
            if isinstance(
                cause, UnknownFieldError
            ):  # its message lists, and suggests, fields that are hidden
                self._unknown(cause.field, exc.parameter)
            raise
        for name in named_fields(query):
            if name not in self._scope.fields:
                self._unknown(name, None)
        return query

    def _unknown(self, name: str, parameter: str | None) -> NoReturn:
        try:
            known_field(name, among=self._scope.fields)
        except UnknownFieldError as exc:
            exc.parameter = parameter
            raise exc from None
        raise AssertionError(name)

    # -- recordings ---------------------------------------------------------------------------------------------

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of a call, which is looked up anew: what *record* says of it is not believed.

        Every read of it needs its right, and is told to the audit hook.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            ScopeError: When this viewer has no right to recordings, or its path would leave the recordings' root.
            RecordingNotFoundError: When this viewer has no such call, or it names no recording.
        """
        found = checked_record(record)
        if not self._scope.rights:
            self._scope.check_right("play")
        return self._recording(found.call_id, found.start, self._scope.rights)

    def recording_token(
        self, record: CallRecord, *, action: RecordingRight = "play", expires: int = 3_600
    ) -> str:
        """Return a text for a URL, by which this viewer finds the call's recording again with `recording_by_token`.

        It is good for this tenant, this viewer, these rights, this call and this action only. It names the call and
        is signed, not encrypted; whether a recording exists is not looked at.

        Args:
            record: The call.
            action: ``play``, or ``download``, which includes it.
            expires: After how many seconds it is no longer good.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            ScopeError: When this viewer has no right to *action*.
            QueryError: When *action* is neither, or *expires* is not a whole number above 0.
        """
        found = checked_record(record)
        if action not in ("play", "download"):
            raise QueryError(f"A token is to 'play' or to 'download', not {action!r}.", parameter="action")
        if type(expires) is not int or not 1 <= expires <= 10**9:
            raise QueryError(
                f"expires cannot be {expires!r}; give a whole number of seconds.", parameter="expires"
            )
        self._scope.check_right(action)
        named = json.dumps([action, format_instant(found.start), found.call_id], separators=(",", ":"))
        text = base64.urlsafe_b64encode(named.encode()).decode().rstrip("=")
        assert self._scope.seals is not None
        return f"{text}.{self._scope.seals.seal('recording', text, expires)}"

    def recording_by_token(self, token: str) -> Recording:
        """Return the recording that *token* was made for.

        Raises:
            ScopeError: When the token is not this viewer's, was changed, or is too old; or the right was taken away.
            RecordingNotFoundError: When the call or its recording is no longer there.
        """
        text, _, seal = token.partition(".") if isinstance(token, str) else ("", "", "")
        assert self._scope.seals is not None
        if not self._scope.seals.holds("recording", text, seal):
            raise ScopeError("The token was not given to this viewer, was changed, or is too old; ask anew.")
        try:
            action, start, call_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            at = parse_instant(start)
        except (ValueError, TypeError, binascii.Error, CdrError) as exc:
            raise ScopeError("The token is none of this version; ask anew.") from exc
        self._scope.check_right(action)
        rights = frozenset({"play", "download"} if action == "download" else {"play"})
        return self._recording(call_id, at, rights & self._scope.rights)

    def _recording(self, call_id: str, start: datetime, rights: frozenset[str]) -> Recording:
        record = self._true_record(call_id, start)
        if record is None:  # whether it is somebody else's is not told
            raise RecordingNotFoundError(f"Call {call_id!r} has no recording.", call_id=call_id)
        return self._found(record, rights)

    def _found(self, record: CallRecord, rights: frozenset[str] | None = None) -> Recording:
        scope = self._scope if rights is None else attrs.evolve(self._scope, rights=rights)

        def allow(action: str) -> None:
            scope.check_right("play" if action == "play" else "download")
            scope.heard(action, call_id=record.call_id, start=record.start)

        return self._locator.find(record, allow)

    def _true_record(self, call_id: str, start: datetime) -> CallRecord | None:
        """Return the tenant's call as it is stored, without masks: a masked path leads nowhere."""
        try:
            end = start + timedelta(microseconds=1)
        except OverflowError:
            end = None
        query = self._scope.narrowed(Query().where(field("call_id") == call_id).between(start, end).limit(1))
        for frame in self._plan(query, None, EVERYTHING).frames(tuple(FIELDS)):
            return next(records_of(frame))
        return None
