"""The source for calls that Plivo's REST API returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import check_zone
from cdrkit.sources.cloud.currency import set_currency
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.json_documents import PageLayout, json_keys, read_pages
from cdrkit.sources.readers.mapping import SourceMapping

__all__ = ["Plivo"]

_PAGES: Final = PageLayout(
    provider="Plivo's",
    lists=[("objects",)],
    marks=frozenset({"call_uuid"}),
    foreign={"recording_id": "it is a recording", "error": "it is an error response"},
    going_on={"call_status": frozenset({"queued", "initiated", "early", "ringing", "in-progress"})},
)
#: The disposition of an unanswered call by its hangup cause, in lower case and with the spelling "canceled".
_DISPOSITIONS: Final = {
    "busy line": "busy",
    "busy everywhere": "busy",
    "no answer": "no_answer",
    "ring timeout reached": "no_answer",
    "canceled": "cancelled",
    "canceled (out of credits)": "cancelled",
    "canceled (simultaneous dial limit reached)": "cancelled",
    "lost race": "cancelled",
    "rejected": "rejected",
    "declined": "rejected",
    "forbidden": "rejected",
    "spam block": "rejected",
    **dict.fromkeys(
        (
            "invalid destination address",
            "destination out of service",
            "endpoint not registered",
            "destination country barred",
            "destination number barred",
            "destination prefix barred",
            "loop detected",
            "violates media anchoring",
            "unknown caller id",
            "unallocated number",
            "request timeout",
            "internal server error from carrier",
            "network congestion from carrier",
            "user does not exist anywhere",
            "dno caller id",
            "network error",
            "internal error",
            "routing error",
            "error reaching answer url",
            "invalid answer xml",
        ),
        "failed",
    ),
}
_MAPPING: Final = SourceMapping(
    name="plivo",
    fields={
        "call_id": "call_uuid",
        "linked_id": ["parent_call_uuid", "call_uuid"],
        "direction": FieldRule(
            columns="call_direction", values={"inbound": "inbound", "outbound": "outbound"}, otherwise=""
        ),
        "start": "initiation_time",
        "answer": "answer_time",
        "end": "end_time",
        "source": "from_number",
        "destination": "to_number",
        "duration": "call_duration",
        "billed_duration": ["billed_duration", "bill_duration"],
        "release_reason": ["hangup_cause_name", "call_state"],
        "hangup_party": FieldRule(
            columns="hangup_source",
            # Other words do not show the party: the carrier forwards the hangup of the far end, and either side may
            # cause an API request or an XML answer.
            values={
                "caller": "caller",
                "callee": "callee",
                "call recipient": "callee",
                "plivo": "system",
                "zentrunk": "system",
            },
            otherwise="",
        ),
        "rate": "total_rate",
        "charge": "total_amount",
    },
)


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Derive the disposition from the answer time, or else from the hangup cause."""
    if "hangup_cause_name" not in native.columns:
        native = native.with_columns(hangup_cause_name=pl.lit(None, dtype=pl.String))
    cause = pl.col("hangup_cause_name").str.to_lowercase().str.replace_all("_", " ", literal=True)
    cause = cause.str.replace("cancelled", "canceled", literal=True)
    by_cause = cause.replace_strict(_DISPOSITIONS, default="unknown", return_dtype=pl.String)
    answered = pl.when(values["answer"].is_not_null()).then(pl.lit("answered"))
    return {"disposition": native.select(pl.coalesce(answered, by_cause)).to_series()}


@attrs.frozen(kw_only=True)
class Plivo:
    """The source for Plivo's Call resources.

    A file contains one call, pages of calls, or one call per line. The field ``duration`` is Plivo's ``call_duration``,
    which may differ from the times of answer and end. The field ``billed_duration`` is Plivo's ``billed_duration``, or
    ``bill_duration`` for a trunk's call, which lacks ``billed_duration``. Times have an offset, which is not always
    zero; the times of a trunk's call have no offset.

    Example:
        >>> import io
        >>> call = b'{"call_uuid": "4d04", "initiation_time": "2017-05-22 17:49:30+05:30", "answer_time": null, '
        >>> call += b'"call_duration": 0, "total_amount": "0.00000", "from_number": "+919879879876"}'
        >>> [batch] = Plivo()(io.BytesIO(call))
        >>> batch.frame["start"][0].isoformat(), batch.frame["disposition"][0]
        ('2017-05-22T12:19:30+00:00', 'unknown')

    Args:
        currency: ISO 4217 code of the account's amounts, which Plivo does not state.
        timezone: IANA name of the time zone of times without an offset.

    Raises:
        ConfigError: When an option is invalid.
    """

    currency: str | None = None
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        The last batch has the pending calls.

        Raises:
            SchemaError: When the stream is empty, is not JSON, or contains no Plivo calls.
            ConfigError: When times have no offset and no zone is given.
        """
        mapping = attrs.evolve(set_currency(_MAPPING, self.currency), timezone=self.timezone)
        yield from read_pages(stream, _PAGES, mapping, compute=_compute_fields)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The JSON must have the keys of a Plivo call.
        """
        keys = json_keys(head)
        if "call_uuid" in keys and keys & {"initiation_time", "call_direction", "call_status"}:
            return "JSON with the keys call_uuid and initiation_time or call_status"
        return None
