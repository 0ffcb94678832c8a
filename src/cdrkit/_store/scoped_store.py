"""Scoped stores: limit a store to the calls that one portal viewer may see."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, NoReturn

import attrs

from cdrkit._access import EVERYTHING, query_fields
from cdrkit._model import (
    FIELDS,
    MICROSECOND,
    CallRecord,
    find_field,
    format_instant,
    parse_instant,
    records_of,
)
from cdrkit._query import Query, field
from cdrkit._recordings import Recording
from cdrkit._store.reader import Reader, check_record
from cdrkit.errors import CdrError, QueryError, RecordingNotFoundError, ScopeError, UnknownFieldError

__all__ = ["ScopedStore"]


class ScopedStore(Reader):
    """A store limited to the calls and fields that one portal viewer may see.

    A scoped store has the methods of a `Store` that read.

    `Store.scoped` makes a scoped store for a request or a session, without reading anything. Records, pages, counts,
    totals, tables, CSV and recordings include only calls of the tenant. A hidden field is absent from every output and
    unknown in queries. A masked field shows only the beginning of a number, or ``****``, and a query can match only
    what is shown. No query can widen the scope.

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
        cdrkit.errors.UnknownFieldError: ...'provider_charge'...
    """

    def __repr__(self) -> str:
        return f"<ScopedStore of {self._scope.tenant}>"

    @property
    def fields(self) -> tuple[str, ...]:
        """The visible fields in the order of the field catalogue, for a column picker.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://fields-example")
            >>> scoped = store.scoped(customer_id="1003", hide=["provider_charge"])
            >>> "provider_charge" in scoped.fields
            False
        """
        return self._scope.fields

    @property
    def viewer(self) -> str:
        """The name of the portal viewer (a person), as passed to `Store.scoped`.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://viewer-example").scoped(customer_id="1003", viewer="ann").viewer
            'ann'
        """
        return self._scope.viewer

    def query_from_params(self, params: object, *, ignore: Iterable[str] = ()) -> Query:
        """Return the query that URL parameters describe; allow only visible fields.

        This method works as `Query.from_params`, but treats a hidden field as unknown. Errors name visible fields only.

        Example:
            >>> import cdrkit
            >>> scoped = cdrkit.open_store("memory://params-example").scoped(customer_id="1003")
            >>> scoped.query_from_params({"connected": "1", "page": "2"}, ignore=["page"])
            Query().where(field('duration') > 0)

        Args:
            params: The parameters of a request, as for `Query.from_params`.
            ignore: Parameters that do not belong to the query.

        Raises:
            UnknownFieldError: When a parameter names an unknown or hidden field.
            QueryError: When a parameter is unknown, or its value is not allowed.
        """
        return self._check_fields(lambda: Query.from_params(params, ignore=ignore))

    def _check_query(self, query: object) -> Query:
        return self._check_fields(lambda: super(ScopedStore, self)._check_query(query))

    def _check_fields(self, parse: Callable[[], Query]) -> Query:
        """Return *query*, or raise an error if it uses a hidden or unknown field.

        Raises:
            UnknownFieldError: When a field is unknown or hidden. The message suggests visible fields only.
        """
        try:
            query = parse()
        except QueryError as exc:
            cause = exc if isinstance(exc, UnknownFieldError) else exc.__cause__
            if isinstance(cause, UnknownFieldError):
                self._raise_unknown(cause.field, exc.parameter)
            raise
        for name in query_fields(query):
            if name not in self._scope.fields:
                self._raise_unknown(name, None)
        return query

    def _raise_unknown(self, name: str, parameter: str | None) -> NoReturn:
        try:
            find_field(name, among=self._scope.fields)
        except UnknownFieldError as exc:
            exc.parameter = parameter
            raise exc from None
        raise AssertionError(name)

    # -- recordings ---------------------------------------------------------------------------------------------

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of one of this tenant's calls.

        The call is looked up in the store by its id and start; no other value of *record* is used. Each use of the
        recording requires the matching right and notifies the audit function.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://scoped-recording-example", recordings="memory://audio/{recording}")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> call = cdrkit.CallRecord(call_id="1", start=at, customer_id="1003", recording="1.wav")
            >>> _ = store.append([call])
            >>> scoped = store.scoped(customer_id="1003", recordings=["play"])
            >>> scoped.recording(call).exists
            False

        Args:
            record: The call.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            ScopeError: When this portal viewer has no right to recordings, or the path is outside the recordings' root.
            RecordingNotFoundError: When the tenant has no such call, or the call has no recording.
        """
        check_record(record)
        if not self._scope.rights:
            self._scope.check_right("play")
        return self._find_call_recording(record.call_id, record.start, self._scope.rights)

    def recording_token(
        self, record: CallRecord, *, action: Literal["play", "download"] = "play", expires: int = 3_600
    ) -> str:
        """Return a signed token for a call's recording, for use in a URL.

        Pass the token to `recording_by_token`. The token is valid only for this tenant, portal viewer, call and action,
        and only with the same rights. It contains the id and the start of the call, signed but not encrypted. The
        recording need not exist.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://token-example", recordings="memory://audio/{recording}")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> call = cdrkit.CallRecord(call_id="1", start=at, customer_id="1003", recording="1.wav")
            >>> _ = store.append([call])
            >>> scoped = store.scoped(customer_id="1003", recordings=["play"])
            >>> scoped.recording_by_token(scoped.recording_token(call)).exists
            False

        Args:
            record: The call.
            action: ``play``, or ``download``, which includes ``play``.
            expires: The lifetime of the token in seconds.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            ScopeError: When this portal viewer has no right to *action*.
            QueryError: When *action* is unknown, or *expires* is not a whole number above 0.
        """
        check_record(record)
        if action not in ("play", "download"):
            raise QueryError(
                f"action={action!r} is not valid for a token. Give 'play' or 'download'.", parameter="action"
            )
        if type(expires) is not int or not 1 <= expires <= 10**9:
            raise QueryError(
                f"expires={expires!r} is not a number of seconds. Give a whole number from 1 to {10**9:,}.",
                parameter="expires",
            )
        self._scope.check_right(action)
        payload = json.dumps([action, format_instant(record.start), record.call_id], separators=(",", ":"))
        text = base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
        assert self._scope.signer is not None
        return f"{text}.{self._scope.signer.sign('recording', text, expires)}"

    def recording_by_token(self, token: str) -> Recording:
        """Return the recording that a token refers to.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://by-token-example", recordings="memory://audio/{recording}")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> call = cdrkit.CallRecord(call_id="1", start=at, customer_id="1003", recording="1.wav")
            >>> _ = store.append([call])
            >>> scoped = store.scoped(customer_id="1003", recordings=["play"])
            >>> token = scoped.recording_token(call, expires=600)
            >>> scoped.recording_by_token(token).exists
            False

        Args:
            token: The token that `recording_token` returned to this portal viewer.

        Raises:
            ScopeError: When the token belongs to another portal viewer, was changed or has expired, or its right was
                revoked.
            RecordingNotFoundError: When the call or its recording no longer exists.
        """
        text, _, signature = token.partition(".") if isinstance(token, str) else ("", "", "")
        assert self._scope.signer is not None
        if not self._scope.signer.verify("recording", text, signature):
            raise ScopeError(
                "The token belongs to another portal viewer, was changed, or has expired. Request a new token."
            )
        try:
            action, start, call_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            at = parse_instant(start)
        except (ValueError, TypeError, binascii.Error, CdrError) as exc:
            raise ScopeError("Another version of cdrkit made this token. Request a new token.") from exc
        self._scope.check_right(action)
        rights = frozenset({"play", "download"} if action == "download" else {"play"})
        return self._find_call_recording(call_id, at, rights & self._scope.rights)

    def _find_call_recording(self, call_id: str, start: datetime, rights: frozenset[str]) -> Recording:
        record = self._read_call(call_id, start)
        if record is None:  # the message is that of a call of another tenant, too
            raise RecordingNotFoundError(f"Call {call_id!r} has no recording.", call_id=call_id)
        return self._find_recording(record, rights)

    def _find_recording(self, record: CallRecord, rights: frozenset[str] | None = None) -> Recording:
        scope = self._scope if rights is None else attrs.evolve(self._scope, rights=rights)

        def allow(action: str) -> None:
            scope.check_right("play" if action == "play" else "download")
            scope.notify_audit(action, call_id=record.call_id, start=record.start)

        return self._locator.find(record, allow)

    def _read_call(self, call_id: str, start: datetime) -> CallRecord | None:
        """Read a call of this tenant, unmasked, to find the call's recording."""
        try:
            end = start + MICROSECOND
        except OverflowError:
            end = None
        query = self._scope.add_conditions(
            Query().where(field("call_id") == call_id).between(start, end).limit(1)
        )
        for frame in self._plan(query, None, EVERYTHING).frames(tuple(FIELDS)):
            return next(records_of(frame))
        return None
