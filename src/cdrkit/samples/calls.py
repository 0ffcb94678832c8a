"""Made-up calls by the million: a counter-based generator, written as Polars expressions.

Every value is a function of the seed and of the row's number, in whole-number arithmetic alone. So a seed
gives the same calls on every machine, and how many rows are made at once does not matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._model import FIELDS, MONEY, SCHEMA, UTC, Direction, Disposition, HangupParty, zone
from cdrkit.errors import ConfigError
from cdrkit.samples.random_numbers import (
    GAMMA,
    SLICE,
    call_lengths,
    drawn,
    looked_up,
    mixed,
    sliced,
    thousandths,
    u64,
)
from cdrkit.samples.catalogue import (
    ANSWERED,
    CARDS,
    CODECS,
    HOSTILE_NAMES,
    LOST_RACE,
    NAMES,
    OUTCOMES,
    PROVIDERS,
    REGIONS,
    SWITCHES,
    WEEKDAY,
    WEEKEND_SHARE,
    Place,
    Region,
)

__all__ = ["END", "check_count", "check_instant", "made_up_frames", "synthesize_calls", "synthesize_tables"]

#: When made-up calls end, unless the caller says otherwise: a fixed instant, so that they can be made again.
END: Final = datetime(2026, 11, 23, tzinfo=UTC)

_ROWS_AT_ONCE: Final = 100_000
_MOST_ROWS: Final = 10**9  # call ids have nine digits for the row
_MOST_CUSTOMERS: Final = 60_000  # each has 16 of a million numbers
_HOUR: Final = 3_600_000_000

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "switch": SWITCHES,
    "origin": ("synthetic",),
    "direction": tuple(map(str, Direction)),
    "disposition": tuple(map(str, Disposition)),
    "hangup_party": tuple(map(str, HangupParty)),
}


def synthesize_calls(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
) -> pa.Table:
    """Make up *rows* calls that look like a telephone company's.

    Weekdays have their busy hours, nights and weekends are quiet; a few numbers and customers have many of the
    calls; 45 % connect, for lengths around a minute; the rest are busy, unanswered, cancelled, rejected or
    failed. Numbers are written in several ways, some callers withhold theirs, and a few send names that are
    hostile to spreadsheets. Outbound calls are rated: a connected one costs ``connect_cost`` and ``rate`` a
    minute of ``billed_duration``, rounded half up at the sixth place.

    The same arguments give the same table everywhere. A million rows take a few seconds and about a gigabyte.

    Example:
        >>> calls = synthesize_calls(1000, days=7, seed=42)
        >>> calls.num_rows
        1000
        >>> calls == synthesize_calls(1000, days=7, seed=42)
        True

    Args:
        rows: How many, 0 to 1,000,000,000. The table is in memory.
        days: How long before *end* they begin, in days of 24 hours.
        seed: Another seed gives other calls.
        end: The aware instant that all of them start before; 2026-11-23T00:00Z unless given.
        customers: How many customers share them, 1 to 60,000; they are called "1001", "1002" and so on,
            the busiest first.
        region: The country that most numbers, the hours and the usual currency are of: GB, US, DE, FR or AU.

    Returns:
        A table of `SCHEMA`, ordered by start and call id, no identity in it twice.

    Raises:
        ConfigError: When an argument is out of its range, *end* is naive, or the region is not one of those.
    """
    tables = list(synthesize_tables(rows, days=days, seed=seed, end=end, customers=customers, region=region))
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def synthesize_tables(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
) -> Iterator[pa.Table]:
    """Make up the calls of `synthesize_calls` a table at a time, for more of them than fit into memory.

    Example:
        >>> [table.num_rows for table in synthesize_tables(150_000, days=7)]
        [100000, 50000]

    Args:
        rows: As for `synthesize_calls`.
        days: As for `synthesize_calls`.
        seed: As for `synthesize_calls`.
        end: As for `synthesize_calls`.
        customers: As for `synthesize_calls`.
        region: As for `synthesize_calls`.

    Returns:
        Tables of `SCHEMA` with at most 100,000 rows, in order.

    Raises:
        ConfigError: As `synthesize_calls` does, before the first table.
    """
    frames = made_up_frames(rows, days=days, seed=seed, end=end, customers=customers, region=region)
    return map(_as_table, frames)


def check_count(name: str, value: object, *, at_least: int, at_most: int) -> int:
    """Return *value* if it is a whole number in that range.

    Raises:
        ConfigError: When it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise ConfigError(f"{name} cannot be {value!r}; give a whole number from {at_least} to {at_most}.")
    return value


def check_instant(name: str, value: object) -> datetime:
    """Return *value* if it is an aware datetime.

    Raises:
        ConfigError: When it is not.
    """
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ConfigError(
            f"{name} cannot be {value!r}; give an aware datetime, such as datetime(2026, 11, 23, tzinfo=UTC)."
        )
    return value


def made_up_frames(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
    rows_at_once: int = _ROWS_AT_ONCE,
) -> Iterator[pl.DataFrame]:
    """Yield the calls of `synthesize_calls`, *rows_at_once* at a time.

    Columns of fixed words hold places in `_WORDS`, and amounts hold millionths.

    Raises:
        ConfigError: As `synthesize_calls` does, before the first frame.
    """
    check_count("rows", rows, at_least=0, at_most=_MOST_ROWS)
    check_count("days", days, at_least=1, at_most=36_525)
    check_count("seed", seed, at_least=0, at_most=2**64 - 1)
    check_count("customers", customers, at_least=1, at_most=_MOST_CUSTOMERS)
    if region not in REGIONS:
        raise ConfigError(f"There is no made-up region {region!r}; choose from {', '.join(REGIONS)}.")
    end = END if end is None else check_instant("end", end)
    try:
        first = end.astimezone(UTC) - timedelta(days=days)
    except OverflowError as exc:
        raise ConfigError(
            f"days cannot be {days!r}: {end.isoformat()} is too early for that; give fewer."
        ) from exc
    maker = _Maker.prepared(
        rows, days=days, seed=seed, first=first, customers=customers, region=REGIONS[region]
    )
    return (maker.frame(start, min(start + rows_at_once, rows)) for start in range(0, rows, rows_at_once))


@attrs.frozen(kw_only=True)
class _Maker:
    """What all rows share: the seed, the hours with the rows that fall in each, customers and numbers."""

    rows: int
    seed: int
    hours: tuple[int, ...]
    first_us: int
    customers: pl.Series
    region: Region
    places: tuple[Place, ...]

    @classmethod
    def prepared(
        cls, rows: int, *, days: int, seed: int, first: datetime, customers: int, region: Region
    ) -> _Maker:
        """Return the maker of *rows* calls from *first* on."""
        key = mixed(seed + GAMMA)
        local = zone(region.zone)
        weights = []
        for number in range(days * 24):
            there = (first + timedelta(hours=number, minutes=30)).astimezone(local)
            share = 1 if there.weekday() > 4 else WEEKEND_SHARE
            weights.append(WEEKDAY[there.hour] * share * (85 + mixed(key + number * GAMMA) % 31))
        total = sum(weights)
        # A customer's share falls with its rank; the first of 200 has a tenth.
        popularity = list(itertools.accumulate(2**40 // (rank + 1) for rank in range(1, customers + 1)))
        foreign = tuple(
            place
            for other in REGIONS.values()
            if other is not region
            for place in (*other.popular, *other.wide)
        )
        return cls(
            rows=rows,
            seed=seed,
            hours=tuple(rows * weight // total for weight in itertools.accumulate(weights, initial=0)),
            first_us=(first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
            customers=pl.Series([2**32 * weight // popularity[-1] for weight in popularity], dtype=pl.UInt64),
            region=region,
            places=(*region.popular, *region.wide, *foreign),
        )

    def frame(self, start: int, stop: int) -> pl.DataFrame:
        """Return the rows from *start* up to *stop*."""
        frame = pl.DataFrame({"row": pl.int_range(start, stop, dtype=pl.UInt64, eager=True)})
        frame = self._times(self._draws(frame))
        frame = self._numbers(frame)
        frame = self._outcomes(frame)
        frame = self._texts(frame)
        frame = self._money(frame)
        return self._record(frame)

    def _draws(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the random bits. Of every hundred groups of three rows, six are the legs of one call, and share its."""
        row, group = pl.col("row"), pl.col("row") // u64(3)
        frame = frame.with_columns(drawn(self.seed, 0, group).alias("group"))
        legs = (sliced("group", 0, 100) < u64(6)) & (group * u64(3) + u64(2) < u64(self.rows))
        frame = frame.with_columns(legs.alias("legs"))
        frame = frame.with_columns(pl.when("legs").then(group * u64(3)).otherwise(row).alias("call"))
        return frame.with_columns(
            *(drawn(self.seed, stream, pl.col("call")).alias(f"call{stream}") for stream in range(1, 7)),
            drawn(self.seed, 10, row).alias("leg1"),
            drawn(self.seed, 11, row).alias("leg2"),
        )

    def _times(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the start: calls are in order because each has its own slice of its hour."""
        hours = pl.Series(self.hours, dtype=pl.UInt64)
        hour = hours.search_sorted(frame["call"], side="right").cast(pl.UInt64) - 1
        begin, count = hours.gather(hour), hours.gather(hour + 1) - hours.gather(hour)
        nth = frame["call"] - begin
        earliest, latest = nth * _HOUR // count, (nth + 1) * _HOUR // count
        within = frame["call1"] // 2**32 * (latest - earliest) // 2**32
        offset = (hour * _HOUR + earliest + within).cast(pl.Int64)
        customer = self.customers.search_sorted(frame["call2"] // 2**32, side="right")
        return frame.with_columns(
            (offset + self.first_us).alias("start"), customer.cast(pl.UInt64).alias("customer")
        )

    def _numbers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the direction, the customer's own number and the other side's."""
        region, places = self.region, self.places
        home = len(region.popular) + len(region.wide)
        share = sliced("call3", 0, 100)
        octave = sliced("call3", 1, 18)
        way = pl.when(pl.col("legs") | (share < 30)).then(0).when(share < 92).then(1).otherwise(2)
        # Ranks are even within an octave and octaves are as likely as each other: rank n has a share like 1/n.
        size = looked_up([2**power for power in range(3, 21)], octave, pl.UInt64)
        rank = size - u64(8) + pl.col("call3") // u64(SLICE**2) % size
        line = pl.min_horizontal(sliced("call4", 0, 16), sliced("call4", 1, 16))
        own = (pl.col("customer") * u64(16) + line) * u64(7919) % u64(10**6)
        frame = frame.with_columns(
            way.cast(pl.UInt8).alias("way"), rank.alias("rank"), (own + u64(region.own * 10**6)).alias("own")
        ).with_columns(drawn(self.seed, 20, pl.col("rank")).alias("number"))
        popular = pl.col("rank") < u64(400)
        place = (
            pl.when(popular)
            .then(pl.col("rank") % u64(4))
            .when(sliced("number", 0, 100) < u64(24))
            .then(u64(home) + sliced("number", 1, len(places) - home))
            .otherwise(u64(4) + sliced("number", 1, home - 4))
        )
        frame = frame.with_columns(place.alias("place"))
        size = looked_up([10**place.digits for place in places], pl.col("place"), pl.UInt64)
        first = looked_up([place.prefix * 10**place.digits for place in places], pl.col("place"), pl.UInt64)
        digits = (
            pl.when(popular)
            .then(pl.col("rank") // u64(4) * u64(7) + u64(18))
            .otherwise(pl.col("number") // u64(2**32))
        )
        return frame.with_columns(
            (first + digits % size).alias("other"), (pl.col("place") < home).alias("home")
        )

    def _outcomes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add how it ended and its lengths; of the legs of an answered call one talks, the others lost the race."""
        table = [number for number, outcome in enumerate(OUTCOMES) for _ in range(outcome.share)]
        ended = looked_up(table, sliced("call5", 0, 1000), pl.UInt64)
        loser = pl.col("legs") & (pl.col("row") % u64(3) != pl.col("group") // u64(SLICE) % u64(3))
        frame = frame.with_columns(ended.alias("ended"), loser.alias("loser"))
        shortest = looked_up([outcome.shortest_ring for outcome in OUTCOMES], pl.col("ended"), pl.UInt64)
        longest = looked_up([outcome.longest_ring for outcome in OUTCOMES], pl.col("ended"), pl.UInt64)
        ring = shortest + pl.col("call5") // u64(SLICE) % u64(SLICE) * (longest - shortest) // u64(SLICE)
        frame = frame.with_columns(
            ring.cast(pl.Int64).alias("ring"),
            pl.when((pl.col("ended") == ANSWERED) & pl.col("loser"))
            .then(u64(LOST_RACE))
            .otherwise("ended")
            .alias("ended"),
        )
        step = sliced("call5", 2, 4096)
        low = looked_up(call_lengths(), step, pl.UInt64)
        high = looked_up(call_lengths(), step + u64(1), pl.UInt64)
        length = low + (high - low) * sliced("call5", 3, SLICE) // u64(SLICE)
        connected = pl.col("ended") == ANSWERED
        return frame.with_columns(
            connected.alias("connected"),
            pl.when(connected).then(length.cast(pl.Int64)).otherwise(0).alias("duration"),
        )

    def _written(self, number: str, form: pl.Expr, *, home: pl.Expr) -> pl.Expr:
        """Return the E.164 digits of *number* in one of a hundred forms: mostly ``+44…``, some as people dial."""
        digits, region = pl.col(number).cast(pl.String), self.region
        national = digits.str.slice(len(region.calling_code))
        spaced = [national.str.slice(0, 2), national.str.slice(2, 4), national.str.slice(6)]
        return (
            pl.when(form < 80)
            .then(pl.concat_str(pl.lit("+"), digits))
            .when((form < 88) | ~home)
            .then(pl.concat_str(pl.lit(region.exit), digits))
            .when(form < 97)
            .then(pl.concat_str(pl.lit(region.trunk), national))
            .otherwise(pl.concat_str(pl.lit(f"+{region.calling_code}"), *spaced, separator=" "))
        )

    def _texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the ids, the numbers as they are written and the callers' names."""
        way, always = pl.col("way"), pl.lit(True)
        extension = (u64(2000) + sliced("call4", 2, 100)).cast(pl.String)
        rung = (u64(2000) + sliced("leg1", 0, 100)).cast(pl.String)
        withheld = sliced("call6", 0, 100)
        form = pl.when(way == 1).then(sliced("call6", 1, 100)).otherwise(sliced("call1", 0, 100))
        other = self._written("other", form, home=pl.col("home"))
        own = self._written("own", u64(99) - form, home=always)
        national = self._written("other", u64(90), home=pl.col("home"))
        second = (pl.col("start") // 1_000_000).cast(pl.String)
        source = (
            pl.when(way == 2)
            .then(extension)
            .when(way == 1)
            .then(pl.when(withheld < 6).then(extension).otherwise(own))
            .when(withheld < 10)
            .then(pl.lit("anonymous"))
            .when(withheld < 14)
            .then(pl.lit("withheld"))
            .otherwise(other)
        )
        destination = (
            pl.when(way == 1).then(other).when((way == 2) | pl.col("legs")).then(rung).otherwise(own)
        )
        prefix = pl.when(sliced("call6", 2, 100) < 6).then(pl.lit("1010"))
        frame = frame.with_columns(
            pl.concat_str(second, pl.lit("."), pl.col("row").cast(pl.String).str.zfill(9)).alias("call_id"),
            pl.concat_str(second, pl.lit("."), pl.col("call").cast(pl.String).str.zfill(9)).alias("linked_id"),
            source.alias("source"),
            destination.alias("destination"),
            pl.when(way == 1).then(prefix).alias("tech_prefix"),
            pl.when(way == 0).then(self._written("own", u64(0), home=always)).alias("did"),
            drawn(self.seed, 21, pl.when(way == 0).then("other").otherwise("own")).alias("caller"),
        )  # fmt: skip
        name = looked_up(NAMES, sliced("caller", 1, len(NAMES)), pl.String)
        hostile = looked_up(HOSTILE_NAMES, sliced("leg1", 2, len(HOSTILE_NAMES)), pl.String)
        known = (sliced("caller", 0, 100) < 30) & ~pl.col("source").is_in(["anonymous", "withheld"])
        return frame.with_columns(
            pl.when(way == 1)
            .then(pl.concat_str(pl.col("tech_prefix").fill_null(""), national))
            .when(way == 0)
            .then(self._written("own", u64(90), home=always))
            .alias("dialled"),
            pl.when(sliced("leg1", 1, 1000) < 1).then(hostile).when(known).then(name).alias("source_name"),
        )

    def _money(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add cards, carriers and amounts in millionths; inbound calls cost nothing, internal ones are not rated."""
        way, customer = pl.col("way"), pl.col("customer")
        frame = frame.with_columns(drawn(self.seed, 22, customer).alias("account"))
        card = sliced("account", 0, len(CARDS))
        provider = sliced("call6", 3, len(PROVIDERS))
        currency = sliced("account", 2, 100)
        usual = self.region.currency
        others = [code for code in ("GBP", "USD", "EUR") if code != usual]
        outbound, external = way == 1, way < 2
        deck = looked_up([place.rate for place in self.places], pl.col("place"), pl.Int64)
        rate = deck * (sliced("account", 1, 31).cast(pl.Int64) + 90) // 100
        least = looked_up([each.least for each in CARDS], card, pl.Int64)
        step = looked_up([each.step for each in CARDS], card, pl.Int64)
        duration = pl.col("duration")
        over = pl.max_horizontal(duration - least, pl.lit(0, dtype=pl.Int64))
        billed = pl.when("connected").then(least + (over + step - 1) // step * step).otherwise(0)
        frame = frame.with_columns(
            pl.when(outbound).then(looked_up([each.id for each in CARDS], card, pl.String)).alias("card_id"),
            pl.when(outbound)
            .then(looked_up([each.id for each in PROVIDERS], provider, pl.String))
            .alias("provider_id"),
            pl.when(outbound).then(rate).when(external).then(0).alias("rate"),
            pl.when(outbound)
            .then(looked_up([each.connect_cost for each in CARDS], card, pl.Int64))
            .when(external)
            .then(0)
            .alias("connect_cost"),
            pl.when(outbound).then(billed).otherwise(duration).alias("billed_duration"),
            looked_up([each.share for each in PROVIDERS], provider, pl.Int64).alias("asked"),
            pl.when(external)
            .then(
                pl.when(currency < 84)
                .then(pl.lit(usual))
                .when(currency < 94)
                .then(pl.lit(others[0]))
                .otherwise(pl.lit(others[1]))
            )
            .alias("currency"),
        )
        charge = (pl.col("rate") * pl.col("billed_duration") * 2 + 60) // 120 + pl.col("connect_cost")
        asked = (pl.col("rate") * pl.col("asked") // 100 * duration * 2 + 60) // 120
        return frame.with_columns(
            pl.when("connected").then(charge).when(external).then(0).alias("charge"),
            pl.when("connected").then(asked).when(external).then(0).alias("provider_charge"),
        )

    def _record(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the columns of the catalogue, in its order."""
        way, ended, connected, start = pl.col("way"), pl.col("ended"), pl.col("connected"), pl.col("start")
        outbound = way == 1
        ring_us = pl.col("ring") * 1000
        identity = (u64(1001) + pl.col("customer")).cast(pl.String)
        reseller = sliced("account", 3, 15)
        instant = pl.Datetime("us", "UTC")
        answered_side = sliced("leg2", 0, 100)
        party = pl.when(answered_side < 54).then(0).when(answered_side < 98).then(1).otherwise(2)
        silent = looked_up(
            [{Disposition.CANCELLED: 0, Disposition.BUSY: 1, Disposition.REJECTED: 1}.get(outcome.disposition, 2)
             for outcome in OUTCOMES], ended, pl.Int8,
        )  # fmt: skip
        disposition = [list(Disposition).index(outcome.disposition) for outcome in OUTCOMES]
        delay = sliced("leg2", 1, 1800).cast(pl.Int64) + 40
        good = pl.when(sliced("leg1", 3, 100) < 92).then(sliced("leg2", 2, 60) + 381).otherwise(
            sliced("leg2", 2, 200) + 180
        )  # fmt: skip
        recorded = connected & (sliced("call1", 1, 100) < 11)
        columns = {
            "switch": pl.col("customer") % u64(len(SWITCHES)),
            "direction": way,
            "start": start.cast(instant),
            "answer": pl.when(connected).then(start + ring_us).cast(instant),
            "end": (start + ring_us + pl.col("duration") * 1_000_000).cast(instant),
            "lrn": pl.when(outbound & pl.col("home") & (sliced("number", 0, 100) >= u64(96))).then(
                pl.concat_str(pl.lit("+"), pl.col("other") // u64(10**4), pl.lit("0000"))
            ),
            "source_ip": pl.concat_str(pl.lit("198.51.100."), pl.col("customer") % u64(254) + u64(1)),
            "customer_id": identity,
            "reseller_id": pl.when(reseller > 2).then(pl.concat_str(pl.lit("R"), reseller)),
            "account": pl.concat_str(identity, pl.lit("-"), sliced("call4", 3, 4) + u64(1)),
            "ring_duration": thousandths(pl.col("ring")),
            "pdd": pl.when(way < 2).then(thousandths(delay)),
            "pdd_in": pl.when(outbound).then(thousandths(delay // 4 + 5)),
            "disposition": looked_up(disposition, ended, pl.Int8),
            "sip_code": looked_up([outcome.sip_code for outcome in OUTCOMES], ended, pl.Int16),
            "sip_reason": looked_up([outcome.sip_reason for outcome in OUTCOMES], ended, pl.String),
            "q850_cause": looked_up([outcome.q850_cause for outcome in OUTCOMES], ended, pl.Int16),
            "release_reason": looked_up([outcome.release_reason for outcome in OUTCOMES], ended, pl.String),
            "hangup_party": pl.when(connected).then(party).otherwise(silent),
            "destination_code": pl.when(outbound).then(
                looked_up([place.code for place in self.places], pl.col("place"), pl.String)
            ),
            "destination_name": pl.when(outbound).then(
                looked_up([place.name for place in self.places], pl.col("place"), pl.String)
            ),
            "dtmf": pl.when(connected & (sliced("call2", 1, 100) < 8)).then(sliced("leg1", 0, 10_000).cast(pl.String)),
            "codec": pl.when(connected).then(looked_up(CODECS, sliced("leg2", 3, len(CODECS)), pl.String)),
            "mos": pl.when(connected).then(thousandths(good * 10)).cast(pl.Float32),
            "recording": pl.when(recorded).then(
                pl.concat_str(start.cast(instant).dt.strftime("%Y/%m/%d/"), pl.col("call_id"), pl.lit(".wav"))
            ),
            "origin": pl.lit(0),
            "extra": pl.when(sliced("call2", 0, 100) < 2).then(
                pl.concat_str(pl.lit('{"queue": "support", "agent": '), sliced("leg1", 0, 100), pl.lit("}"))
            ),
        }  # fmt: skip
        wanted = [columns.get(name, pl.col(name)).alias(name) for name in FIELDS]
        return frame.select(wanted)


def _as_table(frame: pl.DataFrame) -> pa.Table:
    return pa.table([_as_array(frame[name], FIELDS[name].type) for name in FIELDS], schema=SCHEMA)


def _as_array(series: pl.Series, wanted: pa.DataType) -> pa.Array[Any]:
    array = series.to_arrow()
    if isinstance(wanted, pa.DictionaryType):
        words = pa.array(_WORDS[series.name], type=pa.string())
        return pa.DictionaryArray.from_arrays(array.cast(wanted.index_type), words)
    if wanted == MONEY:
        # Millionths as a decimal without places have the very bits of the amount with six.
        whole = array.cast(pa.decimal128(19, 0))
        return pa.Array.from_buffers(MONEY, len(whole), whole.buffers(), whole.null_count, whole.offset)
    return array.cast(wanted)
