"""The types of the public names. A type checker reads this file; it never runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

import cdrkit
from cdrkit import (
    AppendReport,
    Archive,
    ArchiveMonth,
    AuditEvent,
    CacheOptions,
    CallRecord,
    DailyTotal,
    DailyTotals,
    Direction,
    DisplaySettings,
    DisplaySettingsStore,
    Disposition,
    DispositionName,
    EraseReport,
    Expr,
    FieldInfo,
    FieldName,
    FieldRef,
    FormatName,
    HangupParty,
    IngestReport,
    Maintenance,
    MoveReport,
    Page,
    PresetName,
    Query,
    RangeResponse,
    Recording,
    Recordings,
    Result,
    ScopedStore,
    Store,
    StoreStatus,
    TierOptions,
    TierStatus,
    TimeRange,
    VacuumReport,
    VerifyReport,
    field,
)
from cdrkit.errors import CdrError, SchemaError, StorageError, UnknownFieldError

# The record and its catalogue
call = CallRecord(
    call_id="17",
    start=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    direction=Direction.INBOUND,
    charge=Decimal("0.25"),
)
assert_type(call.call_id, str)
assert_type(call.start, datetime)
assert_type(call.source, str | None)
assert_type(call.duration, int | None)
assert_type(call.pdd, float | None)
assert_type(call.charge, Decimal | None)
assert_type(call.direction, Direction | None)
assert_type(call.disposition, Disposition | None)
assert_type(call.hangup_party, HangupParty | None)
assert_type(call.connected, bool)
assert_type(cdrkit.FIELDS["start"].label, str)
assert_type(cdrkit.FIELDS["start"].unit, str | None)
assert_type(cdrkit.SCHEMA, pa.Schema)

# The question
condition = (field("sip_code") == 200) & ~field("mos").is_null() | field("source").is_in(["2041"])
assert_type(condition, Expr)
query = (
    Query()
    .connected()
    .during("last_7_days", "Europe/London")
    .between("2026-11-22", call.start)
    .number(["+44 20 7946 0018", "2041"], role="destination", match="exact")
    .customer("1003")
    .duration(at_least=5)
    .where(condition)
    .columns("start", "source")
    .newest_first()
    .limit(100)
)
assert_type(query, Query)
assert_type(query.to_dict(), dict[str, Any])
assert_type(Query.from_params(query.to_params()), Query)
assert_type(query.time_range(call.start), TimeRange)

# The store
store = cdrkit.open_store(
    "calls",
    warm=TierOptions("s3://acme/warm", storage_options={"profile": "calls"}),
    region="GB",
    recordings=Recordings("/rec/{recording}", timezone="Europe/London", suffixes=["mp3"]),
    cache=CacheOptions(max_bytes=0),
    must_exist=True,
)
assert_type(store, Store)
assert_type(
    cdrkit.open_store(
        hot="near",
        warm="far",
        recordings=Recordings(lambda call: call.recording, root="/rec"),
        cache="copies",
    ),
    Store,
)
assert_type(store.append([call]), AppendReport)
assert_type(store.append(pl.DataFrame()), AppendReport)
assert_type(store.append(iter([call])), AppendReport)
report = store.ingest(b"", format="asterisk-csv", timezone="Europe/London")
assert_type(report, IngestReport)
assert_type(report.added, int)
assert_type(store.count(query), int)

# The answer
calls = store.run(query)
assert_type(calls, Result)
assert_type(calls.in_timezone("Europe/London"), Result)
assert_type(iter(calls), Iterator[CallRecord])
assert_type(calls.to_polars(), pl.DataFrame)
assert_type(calls.to_arrow(), pa.Table)
assert_type(calls.to_pandas(), pd.DataFrame)
assert_type(calls.batches(), Iterator[pa.RecordBatch])
assert_type(calls.write_csv("calls.csv"), int)
assert_type(calls.iter_csv(compression="gzip"), Iterator[bytes])
page = calls.page(100)
assert_type(page, Page)
assert_type(page.records, tuple[CallRecord, ...])
assert_type(page.next_cursor, str | None)
assert_type(page.previous_cursor, str | None)
assert_type(calls.total(), int)
assert_type(len(calls), int)
assert_type(store.run(query.to_dict()), Result)
assert_type(call.to_dict(), dict[str, Any])
assert_type(CallRecord.from_dict({"call_id": "17"}), CallRecord)
assert_type(calls.viewer(columns=["start"], page_size=50).result, Result)
assert_type(calls.viewer().query, Query)
totals = store.daily_totals(query)
assert_type(totals, DailyTotals)
assert_type(totals[0], DailyTotal)
assert_type(totals[0].charges, Mapping[str, Decimal])
assert_type(totals[0].asr, float | None)
assert_type(store.daily_totals(query, timezone="Europe/London"), DailyTotals)
assert_type(totals[0].period, TimeRange)
settings = DisplaySettings.from_dict({})
assert_type(settings.columns, tuple[str, ...])
assert_type(DisplaySettingsStore("settings").get("ann"), DisplaySettings)
assert_type(page.rows(times=settings.times), list[dict[str, str]])
assert_type(settings.within(cdrkit.FIELDS), DisplaySettings)

# The jobs and facts of a store
assert_type(store.maintenance, Maintenance)
assert_type(store.maintenance.run(), tuple[MoveReport, MoveReport, VacuumReport])
assert_type(store.maintenance.verify(), VerifyReport)
status = store.maintenance.status()
assert_type(status, StoreStatus)
assert_type(status.tiers, Mapping[str, TierStatus])
assert_type(store.erase(query, reason="request 17"), EraseReport)
assert_type(store.archive, Archive)
assert_type(store.archive.months(), list[ArchiveMonth])

# The names that editors complete
name: FieldName = "source"
preset: PresetName = "last_month"
disposition: DispositionName = "no_answer"
format_name: FormatName = "asterisk-csv"
assert_type(field(name), FieldRef)
assert_type(Query().during(preset).disposition(disposition), Query)
assert_type(cdrkit.FIELDS[name], FieldInfo)
assert_type(store.ingest(b"", format=format_name), IngestReport)
assert_type(cdrkit.sources.make_source(format_name, {}), cdrkit.sources.Source)
assert_type(DisplaySettings(columns=[name, str(name)]).within([name]), DisplaySettings)
digits: dict[str, int] = {"source": 4}
names: list[FieldName] = [name]
assert_type(store.scoped(customer_id="1003", hide=names, mask=digits), ScopedStore)
assert_type(calls.viewer(columns=names).query, Query)
assert_type(cdrkit.PRESETS, tuple[str, ...])
assert_type(cdrkit.samples.synthesize_calls(10), pa.Table)
assert_type(cdrkit.errors.CdrError.code, str)

# The scope
scoped = store.scoped(customer_id="1003", hide=["charge"], mask={"source": 4}, recordings=["play"])
assert_type(scoped, ScopedStore)
heard: list[AuditEvent] = []
assert_type(store.scoped(reseller_id=["r1"], viewer="ann", audit=heard.append), ScopedStore)
assert_type(heard[0].query, Query | None)
assert_type(scoped.fields, tuple[str, ...])
assert_type(scoped.run(query), Result)
assert_type(scoped.query_from_params({}), Query)
assert_type(scoped.recording(call), Recording)
assert_type(scoped.recording_token(call), str)
assert_type(scoped.zip_recordings(query), Iterator[bytes])

# The recording
recording = store.recording(call)
assert_type(recording, Recording)
assert_type(recording.exists, bool)
assert_type(recording.duration, float | None)
assert_type(recording.open(), IO[bytes])
assert_type(recording.read(0, 100), bytes)
assert_type(recording.download("call.wav"), str)
assert_type(recording.channels, int | None)
answer = recording.respond("bytes=0-")
assert_type(answer, RangeResponse)
assert_type(answer.status, int)
assert_type(answer.headers, dict[str, str])
assert_type(answer.body, Iterator[bytes])

# The errors
try:
    field("sipcode")
except UnknownFieldError as error:
    assert_type(error.close_matches, tuple[str, ...])
except SchemaError as error:
    assert_type(error.row, int | None)
except StorageError as error:
    assert_type(error.retryable, bool)
except CdrError:
    pass
