"""The call generator: Polars expressions compute calls from row numbers.

Every value is computed from the seed and the number of its row only, in whole-number arithmetic. A seed therefore gives
equal calls on every machine, however many rows are generated at once.
"""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Final

import attrs
import polars as pl

from cdrkit._model import FIELDS, Direction, Disposition, HangupParty, to_microseconds, zone
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
from cdrkit.samples.random_numbers import (
    GAMMA,
    SLICE,
    draw,
    draw_below,
    duration_steps,
    look_up,
    mix,
    thousandths,
    u64,
)

__all__ = ["WORDS", "CallGenerator"]

#: The words that the columns of fixed words hold indexes of.
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "switch": SWITCHES,
    "origin": ("synthetic",),
    "direction": tuple(map(str, Direction)),
    "disposition": tuple(map(str, Disposition)),
    "hangup_party": tuple(map(str, HangupParty)),
}
_HOUR: Final = 3_600_000_000  # microseconds


@attrs.frozen(kw_only=True)
class CallGenerator:
    """A generator of sample calls; equal arguments give equal calls.

    Attributes:
        rows: The total number of calls that the generator makes.
        seed: The seed.
        hours: The number of each hour's first row, followed by the total number of rows.
        first_us: The beginning of the first hour, in microseconds since 1970.
        customers: Upper bounds of the random numbers that select each customer.
        region: The country of most numbers, of the hours and of the usual currency.
        places: The blocks of numbers: those of the region first.
    """

    rows: int
    seed: int
    hours: tuple[int, ...]
    first_us: int
    customers: pl.Series
    region: Region
    places: tuple[Place, ...]

    @classmethod
    def create(
        cls, rows: int, *, days: int, seed: int, first: datetime, customers: int, region: Region
    ) -> CallGenerator:
        """Create a generator of calls for a period that begins at *first*.

        The generator makes *rows* calls, and the period has *days* days.
        """
        key = mix(seed + GAMMA)
        local = zone(region.zone)
        weights = []
        for number in range(days * 24):
            there = (first + timedelta(hours=number, minutes=30)).astimezone(local)
            share = 1 if there.weekday() > 4 else WEEKEND_SHARE
            weights.append(WEEKDAY[there.hour] * share * (85 + mix(key + number * GAMMA) % 31))
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
            first_us=to_microseconds(first),
            customers=pl.Series([2**32 * weight // popularity[-1] for weight in popularity], dtype=pl.UInt64),
            region=region,
            places=(*region.popular, *region.wide, *foreign),
        )

    def frame(self, start: int, stop: int) -> pl.DataFrame:
        """Generate the calls whose row numbers are *start* to *stop* - 1.

        Columns of fixed words hold indexes into `WORDS`, and amounts hold millionths.
        """
        frame = pl.DataFrame({"row": pl.int_range(start, stop, dtype=pl.UInt64, eager=True)})
        frame = self._add_times(self._add_draws(frame))
        frame = self._add_numbers(frame)
        frame = self._add_outcomes(frame)
        frame = self._add_texts(frame)
        frame = self._add_money(frame)
        return self._select_fields(frame)

    def _add_draws(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns with random bits for each row.

        Six of 100 groups of three rows are the legs of one call and share that call's bits.
        """
        row, group = pl.col("row"), pl.col("row") // u64(3)
        frame = frame.with_columns(draw(self.seed, 0, group).alias("group"))
        legs = (draw_below("group", 0, 100) < u64(6)) & (group * u64(3) + u64(2) < u64(self.rows))
        frame = frame.with_columns(legs.alias("legs"))
        frame = frame.with_columns(pl.when("legs").then(group * u64(3)).otherwise(row).alias("call"))
        return frame.with_columns(
            *(draw(self.seed, stream, pl.col("call")).alias(f"call{stream}") for stream in range(1, 7)),
            draw(self.seed, 10, row).alias("leg1"),
            draw(self.seed, 11, row).alias("leg2"),
        )

    def _add_times(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns for each call's start and customer.

        Calls are in order because each call has a separate part of its hour.
        """
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

    def _add_numbers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns for each call's direction and the numbers of its two parties."""
        region, places = self.region, self.places
        home = len(region.popular) + len(region.wide)
        share = draw_below("call3", 0, 100)
        octave = draw_below("call3", 1, 18)
        way = pl.when(pl.col("legs") | (share < 30)).then(0).when(share < 92).then(1).otherwise(2)
        # Ranks are equally likely within an octave, and so are octaves: the share of rank n is proportional to 1/n.
        size = look_up([2**power for power in range(3, 21)], octave, pl.UInt64)
        rank = size - u64(8) + pl.col("call3") // u64(SLICE**2) % size
        line = pl.min_horizontal(draw_below("call4", 0, 16), draw_below("call4", 1, 16))
        own = (pl.col("customer") * u64(16) + line) * u64(7919) % u64(10**6)
        frame = frame.with_columns(
            way.cast(pl.UInt8).alias("way"), rank.alias("rank"), (own + u64(region.own * 10**6)).alias("own")
        ).with_columns(draw(self.seed, 20, pl.col("rank")).alias("number"))
        popular = pl.col("rank") < u64(400)
        place = (
            pl.when(popular)
            .then(pl.col("rank") % u64(4))
            .when(draw_below("number", 0, 100) < u64(24))
            .then(u64(home) + draw_below("number", 1, len(places) - home))
            .otherwise(u64(4) + draw_below("number", 1, home - 4))
        )
        frame = frame.with_columns(place.alias("place"))
        size = look_up([10**place.digits for place in places], pl.col("place"), pl.UInt64)
        first = look_up([place.prefix * 10**place.digits for place in places], pl.col("place"), pl.UInt64)
        digits = (
            pl.when(popular)
            .then(pl.col("rank") // u64(4) * u64(7) + u64(18))
            .otherwise(pl.col("number") // u64(2**32))
        )
        return frame.with_columns(
            (first + digits % size).alias("other"), (pl.col("place") < home).alias("home")
        )

    def _add_outcomes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns for the outcome and the durations of each leg.

        Only one leg of an answered call was answered.
        """
        table = [number for number, outcome in enumerate(OUTCOMES) for _ in range(outcome.share)]
        ended = look_up(table, draw_below("call5", 0, 1000), pl.UInt64)
        loser = pl.col("legs") & (pl.col("row") % u64(3) != pl.col("group") // u64(SLICE) % u64(3))
        frame = frame.with_columns(ended.alias("ended"), loser.alias("loser"))
        shortest = look_up([outcome.shortest_ring for outcome in OUTCOMES], pl.col("ended"), pl.UInt64)
        longest = look_up([outcome.longest_ring for outcome in OUTCOMES], pl.col("ended"), pl.UInt64)
        ring = shortest + pl.col("call5") // u64(SLICE) % u64(SLICE) * (longest - shortest) // u64(SLICE)
        frame = frame.with_columns(
            ring.cast(pl.Int64).alias("ring"),
            pl.when((pl.col("ended") == ANSWERED) & pl.col("loser"))
            .then(u64(LOST_RACE))
            .otherwise("ended")
            .alias("ended"),
        )
        step = draw_below("call5", 2, 4096)
        low = look_up(duration_steps(), step, pl.UInt64)
        high = look_up(duration_steps(), step + u64(1), pl.UInt64)
        length = low + (high - low) * draw_below("call5", 3, SLICE) // u64(SLICE)
        connected = pl.col("ended") == ANSWERED
        return frame.with_columns(
            connected.alias("connected"),
            pl.when(connected).then(length.cast(pl.Int64)).otherwise(0).alias("duration"),
        )

    def _notation(self, number: str, style: pl.Expr, *, home: pl.Expr) -> pl.Expr:
        """Write a telephone number in one of several notations.

        Most numbers begin with ``+44``; some are written as they are dialled.

        Args:
            number: The column with the E.164 digits.
            style: A number below 100 that selects the notation.
            home: Whether the number belongs to the region.
        """
        digits, region = pl.col(number).cast(pl.String), self.region
        national = digits.str.slice(len(region.calling_code))
        spaced = [national.str.slice(0, 2), national.str.slice(2, 4), national.str.slice(6)]
        return (
            pl.when(style < 80)
            .then(pl.concat_str(pl.lit("+"), digits))
            .when((style < 88) | ~home)
            .then(pl.concat_str(pl.lit(region.exit), digits))
            .when(style < 97)
            .then(pl.concat_str(pl.lit(region.trunk), national))
            .otherwise(pl.concat_str(pl.lit(f"+{region.calling_code}"), *spaced, separator=" "))
        )

    def _add_texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns for the identifiers, the number fields and the caller's name."""
        way, always = pl.col("way"), pl.lit(True)
        extension = (u64(2000) + draw_below("call4", 2, 100)).cast(pl.String)
        rung = (u64(2000) + draw_below("leg1", 0, 100)).cast(pl.String)
        withheld = draw_below("call6", 0, 100)
        style = pl.when(way == 1).then(draw_below("call6", 1, 100)).otherwise(draw_below("call1", 0, 100))
        other = self._notation("other", style, home=pl.col("home"))
        own = self._notation("own", u64(99) - style, home=always)
        national = self._notation("other", u64(90), home=pl.col("home"))
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
        prefix = pl.when(draw_below("call6", 2, 100) < 6).then(pl.lit("1010"))
        frame = frame.with_columns(
            pl.concat_str(second, pl.lit("."), pl.col("row").cast(pl.String).str.zfill(9)).alias("call_id"),
            pl.concat_str(second, pl.lit("."), pl.col("call").cast(pl.String).str.zfill(9)).alias("linked_id"),
            source.alias("source"),
            destination.alias("destination"),
            pl.when(way == 1).then(prefix).alias("tech_prefix"),
            pl.when(way == 0).then(self._notation("own", u64(0), home=always)).alias("did"),
            draw(self.seed, 21, pl.when(way == 0).then("other").otherwise("own")).alias("caller"),
        )  # fmt: skip
        name = look_up(NAMES, draw_below("caller", 1, len(NAMES)), pl.String)
        hostile = look_up(HOSTILE_NAMES, draw_below("leg1", 2, len(HOSTILE_NAMES)), pl.String)
        known = (draw_below("caller", 0, 100) < 30) & ~pl.col("source").is_in(["anonymous", "withheld"])
        return frame.with_columns(
            pl.when(way == 1)
            .then(pl.concat_str(pl.col("tech_prefix").fill_null(""), national))
            .when(way == 0)
            .then(self._notation("own", u64(90), home=always))
            .alias("dialled"),
            pl.when(draw_below("leg1", 1, 1000) < 1)
            .then(hostile)
            .when(known)
            .then(name)
            .alias("source_name"),
        )

    def _add_money(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add columns for the rate card, the carrier and the amounts (in millionths).

        Inbound calls cost nothing, and internal calls have no rates.
        """
        way, customer = pl.col("way"), pl.col("customer")
        frame = frame.with_columns(draw(self.seed, 22, customer).alias("account"))
        card = draw_below("account", 0, len(CARDS))
        provider = draw_below("call6", 3, len(PROVIDERS))
        currency = draw_below("account", 2, 100)
        usual = self.region.currency
        others = [code for code in ("GBP", "USD", "EUR") if code != usual]
        outbound, external = way == 1, way < 2
        deck = look_up([place.rate for place in self.places], pl.col("place"), pl.Int64)
        rate = deck * (draw_below("account", 1, 31).cast(pl.Int64) + 90) // 100
        least = look_up([each.least for each in CARDS], card, pl.Int64)
        step = look_up([each.step for each in CARDS], card, pl.Int64)
        duration = pl.col("duration")
        over = pl.max_horizontal(duration - least, pl.lit(0, dtype=pl.Int64))
        billed = pl.when("connected").then(least + (over + step - 1) // step * step).otherwise(0)
        frame = frame.with_columns(
            pl.when(outbound).then(look_up([each.id for each in CARDS], card, pl.String)).alias("card_id"),
            pl.when(outbound)
            .then(look_up([each.id for each in PROVIDERS], provider, pl.String))
            .alias("provider_id"),
            pl.when(outbound).then(rate).when(external).then(0).alias("rate"),
            pl.when(outbound)
            .then(look_up([each.connect_cost for each in CARDS], card, pl.Int64))
            .when(external)
            .then(0)
            .alias("connect_cost"),
            pl.when(outbound).then(billed).otherwise(duration).alias("billed_duration"),
            look_up([each.share for each in PROVIDERS], provider, pl.Int64).alias("asked"),
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

    def _select_fields(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Select the columns of the field catalogue, in the order of the catalogue."""
        way, ended, connected, start = pl.col("way"), pl.col("ended"), pl.col("connected"), pl.col("start")
        outbound = way == 1
        ring_us = pl.col("ring") * 1000
        identity = (u64(1001) + pl.col("customer")).cast(pl.String)
        reseller = draw_below("account", 3, 15)
        instant = pl.Datetime("us", "UTC")
        answered_side = draw_below("leg2", 0, 100)
        party = pl.when(answered_side < 54).then(0).when(answered_side < 98).then(1).otherwise(2)
        silent = look_up(
            [{Disposition.CANCELLED: 0, Disposition.BUSY: 1, Disposition.REJECTED: 1}.get(outcome.disposition, 2)
             for outcome in OUTCOMES], ended, pl.Int8,
        )  # fmt: skip
        disposition = [list(Disposition).index(outcome.disposition) for outcome in OUTCOMES]
        delay = draw_below("leg2", 1, 1800).cast(pl.Int64) + 40
        good = pl.when(draw_below("leg1", 3, 100) < 92).then(draw_below("leg2", 2, 60) + 381).otherwise(
            draw_below("leg2", 2, 200) + 180
        )  # fmt: skip
        recorded = connected & (draw_below("call1", 1, 100) < 11)
        columns = {
            "switch": pl.col("customer") % u64(len(SWITCHES)),
            "direction": way,
            "start": start.cast(instant),
            "answer": pl.when(connected).then(start + ring_us).cast(instant),
            "end": (start + ring_us + pl.col("duration") * 1_000_000).cast(instant),
            "lrn": pl.when(outbound & pl.col("home") & (draw_below("number", 0, 100) >= u64(96))).then(
                pl.concat_str(pl.lit("+"), pl.col("other") // u64(10**4), pl.lit("0000"))
            ),
            "source_ip": pl.concat_str(pl.lit("198.51.100."), pl.col("customer") % u64(254) + u64(1)),
            "customer_id": identity,
            "reseller_id": pl.when(reseller > 2).then(pl.concat_str(pl.lit("R"), reseller)),
            "account": pl.concat_str(identity, pl.lit("-"), draw_below("call4", 3, 4) + u64(1)),
            "ring_duration": thousandths(pl.col("ring")),
            "pdd": pl.when(way < 2).then(thousandths(delay)),
            "pdd_in": pl.when(outbound).then(thousandths(delay // 4 + 5)),
            "disposition": look_up(disposition, ended, pl.Int8),
            "sip_code": look_up([outcome.sip_code for outcome in OUTCOMES], ended, pl.Int16),
            "sip_reason": look_up([outcome.sip_reason for outcome in OUTCOMES], ended, pl.String),
            "q850_cause": look_up([outcome.q850_cause for outcome in OUTCOMES], ended, pl.Int16),
            "release_reason": look_up([outcome.release_reason for outcome in OUTCOMES], ended, pl.String),
            "hangup_party": pl.when(connected).then(party).otherwise(silent),
            "destination_code": pl.when(outbound).then(
                look_up([place.code for place in self.places], pl.col("place"), pl.String)
            ),
            "destination_name": pl.when(outbound).then(
                look_up([place.name for place in self.places], pl.col("place"), pl.String)
            ),
            "dtmf": pl.when(connected & (draw_below("call2", 1, 100) < 8)).then(
                draw_below("leg1", 0, 10_000).cast(pl.String)
            ),
            "codec": pl.when(connected).then(look_up(CODECS, draw_below("leg2", 3, len(CODECS)), pl.String)),
            "mos": pl.when(connected).then(thousandths(good * 10)).cast(pl.Float32),
            "recording": pl.when(recorded).then(
                pl.concat_str(start.cast(instant).dt.strftime("%Y/%m/%d/"), pl.col("call_id"), pl.lit(".wav"))
            ),
            "origin": pl.lit(0),
            "extra": pl.when(draw_below("call2", 0, 100) < 2).then(
                pl.concat_str(pl.lit('{"queue": "support", "agent": '), draw_below("leg1", 0, 100), pl.lit("}"))
            ),
        }  # fmt: skip
        wanted = [columns.get(name, pl.col(name)).alias(name) for name in FIELDS]
        return frame.select(wanted)
