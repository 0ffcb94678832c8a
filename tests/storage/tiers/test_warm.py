"""The warm tier: compact files that other tools read, few requests, and no wrong rows."""

from __future__ import annotations

import io
import itertools
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cdrkit import FIELDS, CallRecord
from cdrkit._files import Files, open_files
from cdrkit._model import FRAME_TYPES, conform_frame, frames_of
from cdrkit.errors import CorruptDataError
from cdrkit.samples import synthesize_calls
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers import parquet, range_reader
from cdrkit.storage.tiers.parquet import _PartialFile
from cdrkit.storage.tiers.range_reader import merge_spans
from cdrkit.storage.tiers.recent_cache import RecentCache
from cdrkit.storage.tiers.warm import WarmTier
from tests.strategies import records

ALL = list(FIELDS)
#: What Spark's vectorised reader knows since 3.3; BYTE_STREAM_SPLIT is not among it.
PORTABLE = {"PLAIN", "RLE", "RLE_DICTIONARY", "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY"}

_places = itertools.count()


def calls(rows: int, seed: int = 1) -> pl.DataFrame:
    """Return made-up calls of one UTC month, in order."""
    frame = pl.from_arrow(synthesize_calls(rows, days=20, seed=seed))
    assert isinstance(frame, pl.DataFrame)
    return conform_frame(frame)


class CountingFiles:
    """Files that remember which ranges were read."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.asked: list[tuple[int, int | None]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._files, name)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        self.asked.append((start, stop))
        return self._files.read(path, start, stop)

    @property
    def bytes_asked(self) -> int:
        """How many bytes were asked for, all of them in ranges."""
        return sum((stop or 0) - start for start, stop in self.asked)


def counting(files: Files) -> tuple[WarmTier, CountingFiles]:
    """Return a new tier on *files*, and what counts its requests."""
    counter = CountingFiles(files)
    return WarmTier(counter), counter  # type: ignore[arg-type]  # __getattr__ gives the rest


@pytest.fixture
def files() -> Files:
    """Return a place that nobody uses yet and that is not the local disk."""
    return open_files(f"memory://warm-{next(_places)}")


@attrs.frozen
class Month:
    """A segment of some size, its calls, and where it lies."""

    files: Files
    segment: Segment
    frame: pl.DataFrame


@pytest.fixture(scope="module")
def month() -> Month:
    """Return a segment of 30,000 calls, which is one row group, that no test changes."""
    files, frame = open_files(f"memory://warm-{next(_places)}"), calls(30_000)
    return Month(files, WarmTier(files).write(frame, "GB"), frame)


@pytest.fixture(scope="module")
def groups() -> Month:
    """Return a segment of five row groups of 400 calls each that no test changes."""
    files, frame = open_files(f"memory://warm-{next(_places)}"), calls(2_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_GROUP_ROWS", 400)
        return Month(files, WarmTier(files).write(frame, "GB"), frame)


class TestFile:
    """The Parquet file."""

    def test_folder_is_the_month(self, month: Month) -> None:
        """A segment lies in the folder of its UTC month, under a name that ends in its checksum."""
        segment = month.segment
        assert segment.path == f"month=2026-11/{segment.id}.parquet"
        assert segment.id.endswith(segment.checksum)

    def test_is_small(self, month: Month) -> None:
        """It takes at most 0.7 of what pyarrow's own settings make of the same calls."""
        usual = io.BytesIO()
        pq.write_table(synthesize_calls(30_000, days=20), usual)
        assert month.segment.size_bytes <= 0.7 * len(usual.getvalue())

    def test_columns_and_checksums(self, month: Month) -> None:
        """A column is one range of bytes with the CRC-32 of the segment; the footer has a CRC-32, too."""
        data = month.files.read(month.segment.path)
        found = pq.read_metadata(io.BytesIO(data))
        assert (found.num_row_groups, found.num_rows) == (1, 30_000)
        checksums = {}
        for at in range(found.num_columns):
            chunk = found.row_group(0).column(at)
            offsets = [chunk.dictionary_page_offset, chunk.data_page_offset]
            start = min(offset for offset in offsets if offset is not None)
            checksums[chunk.path_in_schema] = zlib.crc32(data[start : start + chunk.total_compressed_size])
        assert checksums == dict(month.segment.columns)
        tail = data[-month.segment.facts["footer_bytes"] :]
        assert zlib.crc32(tail) == month.segment.facts["footer_crc"]
        assert len(tail) == found.serialized_size + 8

    def test_groups_and_their_checksums(self, groups: Month) -> None:
        """The footer has the CRC-32 of each column of each row group, in file order."""
        data = groups.files.read(groups.segment.path)
        found = pq.read_metadata(io.BytesIO(data))
        assert [found.row_group(at).num_rows for at in range(found.num_row_groups)] == [400] * 5
        stored = json.loads((found.metadata or {})[b"cdrkit:crc32"])
        whole: dict[str, int] = {}
        for at, crcs in enumerate(stored):
            for number, crc in zip(range(found.num_columns), crcs, strict=True):
                chunk = found.row_group(at).column(number)
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                part = data[start : start + chunk.total_compressed_size]
                assert zlib.crc32(part) == crc
                whole[chunk.path_in_schema] = zlib.crc32(part, whole.get(chunk.path_in_schema, 0))
        assert whole == dict(groups.segment.columns)

    def test_encodings_are_portable(self, month: Month) -> None:
        """Encodings are those of common readers; times are stored as differences, amounts as whole numbers."""
        group = pq.read_metadata(io.BytesIO(month.files.read(month.segment.path))).row_group(0)
        chunks = {each.path_in_schema: each for each in map(group.column, range(group.num_columns))}
        assert set[str]().union(*(each.encodings for each in chunks.values())) <= PORTABLE
        assert {each.compression for each in chunks.values()} == {"ZSTD"}
        assert chunks["start"].statistics is not None
        assert chunks["start"].statistics.has_min_max
        assert {chunks[name].physical_type for name in ("start", "charge", "rate")} == {"INT64"}
        assert "DELTA_BINARY_PACKED" in chunks["start"].encodings
        assert "DELTA_BYTE_ARRAY" in chunks["call_id"].encodings
        assert "RLE_DICTIONARY" in chunks["customer_id"].encodings

    def test_every_file_has_every_column(self, tmp_path: Path) -> None:
        """A column without any value is in the file too: a folder of files reads as one, whichever comes first."""
        files = open_files(tmp_path)
        for columns in (["call_id", "start"], ["call_id", "start", "mos"], ALL):
            WarmTier(files).write(calls(100).select(columns), "GB")
        whole = pl.scan_parquet(f"{tmp_path}/**/*.parquet").collect()
        assert whole.columns == ALL
        assert whole.height == 300

    def test_says_what_it_is(self, month: Month) -> None:
        """The file's own metadata have format, rows and range, so that a log can be made of files alone."""
        found = pq.read_metadata(io.BytesIO(month.files.read(month.segment.path))).metadata or {}
        assert json.loads(found[b"cdrkit"]) == {
            "format": 3,
            "written": month.segment.facts["written"],
            "rows": 30_000,
            "first": month.segment.first.isoformat(),
            "last": month.segment.last.isoformat(),
        }


class TestOtherTools:
    """Files of the warm tier, read by what everyone has."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return a folder with a month of two segments, of which the second lacks a column."""
        tier = WarmTier(open_files(tmp_path))
        frame = self.expected()
        tier.write(frame[:1500], "GB")
        tier.write(frame[1500:], "GB")
        return tmp_path

    @staticmethod
    def expected() -> pl.DataFrame:
        """Return the calls of both segments."""
        late = pl.int_range(pl.len()) >= 1500
        return calls(2000).with_columns(pl.when(~late).then("codec").alias("codec"))

    def test_whole_folders(self, folder: Path) -> None:
        """A month's folder, and the folder of all months, are read as they are, with the month as a column besides."""
        hidden = ("_", ".")  # what Spark, pandas and pyarrow pass over
        paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        seen = [path for path in paths if not any(part.startswith(hidden) for part in path.parts)]
        assert [path.suffix for path in seen] == [".parquet"] * 2
        assert len(paths) == 4
        (month,) = folder.glob("month=*")
        assert pd.read_parquet(month).shape == (2000, len(ALL))
        assert pl.read_parquet(month).shape == (2000, len(ALL))
        assert pq.read_table(month).shape == (2000, len(ALL))
        whole = pd.read_parquet(folder)
        assert set(whole.columns) == {*ALL, "month"}
        assert len(whole) == 2000
        assert set(whole["month"]) == {"2026-11"}

    def test_polars(self, folder: Path) -> None:
        """Polars reads each file: the calls and their types are those of the library, words are plain text."""
        parts = [pl.read_parquet(path) for path in folder.rglob("*.parquet")]
        found = pl.concat(parts, how="diagonal").sort("start", "call_id")
        expected = self.expected().with_columns(pl.col(pl.Categorical).cast(pl.String))
        assert_frame_equal(found.select(ALL), expected)

    def test_pandas(self, folder: Path) -> None:
        """Pandas reads each file with its types: instants in UTC, amounts as Decimal."""
        paths = sorted(folder.rglob("*.parquet"))
        found = pd.concat([pd.read_parquet(path) for path in paths]).sort_values(["start", "call_id"])
        expected = self.expected()
        assert str(found["start"].dtype) == "datetime64[us, UTC]"
        assert found["start"].dt.to_pydatetime().tolist() == expected["start"].to_list()
        assert [None if pd.isna(value) else value for value in found["charge"]] == expected[
            "charge"
        ].to_list()
        assert [None if pd.isna(value) else value for value in found["source"]] == expected[
            "source"
        ].to_list()

    def test_duckdb(self, folder: Path) -> None:
        """DuckDB reads the folder: nothing is missing, nothing besides, amounts are exact."""
        duckdb = pytest.importorskip("duckdb")
        expected = self.expected().with_columns(pl.col(pl.Categorical).cast(pl.String))
        expected.write_parquet(folder / "expected.parquet", compression="uncompressed")
        names = ", ".join(f'"{name}"' for name in ALL)
        ours = f"SELECT {names} FROM read_parquet('{folder}/month=*/*.parquet', union_by_name=true)"
        plain = f"SELECT {names} FROM read_parquet('{folder}/expected.parquet')"
        for one, other in ((ours, plain), (plain, ours)):
            assert duckdb.sql(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchall() == [(0,)]


class TestRoundTrip:
    """What is written is what is read, whatever part of it."""

    @given(
        found=st.lists(records(), min_size=1, max_size=30),
        columns=st.lists(st.sampled_from(ALL), min_size=1, unique=True),
        data=st.data(),
    )
    def test_any_part(self, found: list[CallRecord], columns: list[str], data: st.DataObject) -> None:
        """For any calls, columns and rows: ``read(write(frame), columns, rows) == frame[rows, columns]``, types too."""
        frame = pl.concat(frames_of(found)).sort("start", "call_id")
        tier = WarmTier(open_files(f"memory://warm-{next(_places)}"))
        segment = tier.write(frame, "GB")
        assert_frame_equal(tier.read(segment, columns), frame.select(columns))
        low, high = sorted(data.draw(st.integers(0, frame.height)) for _ in range(2))
        assert_frame_equal(tier.read(segment, columns, range(low, high)), frame.select(columns)[low:high])
        numbers = sorted(data.draw(st.sets(st.integers(0, frame.height - 1))))
        asked = pl.Series(numbers, dtype=pl.UInt32)
        assert_frame_equal(tier.read(segment, columns, asked), frame.select(columns)[numbers])
        assert tier.read(segment, columns).schema == {name: FRAME_TYPES[name] for name in columns}

    def test_a_segment_of_many_rows(self, month: Month) -> None:
        """A segment with many pages and large dictionaries comes back whole."""
        assert_frame_equal(WarmTier(month.files).read(month.segment, ALL), month.frame)

    @pytest.mark.parametrize(
        "rows",
        [
            range(2_000),
            range(399, 401),
            range(800, 1_200),
            range(1_999, 2_000),
            [0, 399, 400, 1_999],
            [7],
            list(range(0, 2_000, 3)),
            list(range(450, 470)),
        ],
        ids=str,
    )
    def test_rows_of_several_groups(self, groups: Month, rows: range | list[int]) -> None:
        """Rows come back in their order, whatever row groups hold them, from one read and from many."""
        wanted = rows if isinstance(rows, range) else pl.Series(rows, dtype=pl.UInt32)
        tier = WarmTier(groups.files)
        for _ in range(2):  # the second time out of memory
            assert_frame_equal(tier.read(groups.segment, ALL, wanted), groups.frame[list(rows)])
        picks = [(groups.segment, pl.Series(list(rows), dtype=pl.UInt32))] * 2
        assert_frame_equal(tier.gather(picks, ALL), groups.frame[[*rows, *rows]])


class TestRequests:
    """How often and for how much the filesystem is asked."""

    def test_second_read_asks_nothing(self, month: Month) -> None:
        """Columns that were read are not fetched again, whatever rows are wanted, nor is the footer."""
        tier, counter = counting(month.files)
        tier.read(month.segment, ["start", "customer_id", "duration"])
        assert 2 <= len(counter.asked) <= 4
        counter.asked.clear()
        tier.read(month.segment, ["duration", "start"], range(5))
        tier.read(month.segment, ["customer_id"], pl.Series([7, 9]))
        assert counter.asked == []

    def test_no_byte_twice(self, month: Month) -> None:
        """A query reads start, then what it filters by, then what it returns: each column is fetched once."""
        tier, counter = counting(month.files)
        for columns in (
            ["start"],
            ["customer_id", "start"],
            ["start", "customer_id", "end", "recording", "call_id"],
        ):
            tier.read(month.segment, columns)
        footer = (month.segment.size_bytes - month.segment.facts["footer_bytes"], month.segment.size_bytes)
        assert counter.asked.count(footer) == 1
        assert len(counter.asked) <= 7

    def test_only_what_is_needed(self, month: Month) -> None:
        """Few columns take few bytes; all columns take one request for the footer and one for each large part."""
        tier, counter = counting(month.files)
        tier.read(month.segment, ["customer_id"])
        assert len(counter.asked) == 2
        assert counter.bytes_asked < month.segment.size_bytes / 20
        tier, counter = counting(month.files)
        tier.read(month.segment, ALL)
        assert len(counter.asked) == 2
        assert counter.bytes_asked < month.segment.size_bytes

    def test_only_the_groups_that_are_needed(self, groups: Month, monkeypatch: pytest.MonkeyPatch) -> None:
        """One call takes the footer and one column of one row group; a neighbour takes nothing more."""
        monkeypatch.setattr(range_reader, "_GAP", 0)
        tier, counter = counting(groups.files)
        for row in (850, 860):
            assert (
                tier.read(groups.segment, ["call_id"], pl.Series([row]))["call_id"][0]
                == (groups.frame["call_id"][row])
            )
        metadata = pq.read_metadata(io.BytesIO(groups.files.read(groups.segment.path)))
        chunk = metadata.row_group(2).column(ALL.index("call_id"))
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        assert counter.asked[1:] == [(start, start + chunk.total_compressed_size)]

    def test_columns_that_lie_far_apart(self, month: Month) -> None:
        """What lies between columns that are far apart is not fetched."""
        tier, counter = counting(month.files)
        found = tier.read(month.segment, ["extra", "call_id"])
        assert_frame_equal(found, month.frame.select("extra", "call_id"))
        assert len(counter.asked) == 3
        assert counter.bytes_asked < month.segment.size_bytes / 4

    def test_removed_is_forgotten(self, files: Files) -> None:
        """What a tier has removed is not served from its memory."""
        tier = WarmTier(files)
        segment = tier.write(calls(10), "GB")
        tier.read(segment, ALL)
        tier.remove(segment)
        with pytest.raises(FileNotFoundError, match=segment.id):
            tier.read(segment, ALL)


class TestDamage:
    """Damaged files."""

    def test_any_flipped_byte(self, files: Files) -> None:
        """Whatever byte is changed, reading gives the right calls or CorruptDataError, never other calls."""
        frame = calls(30)
        segment = WarmTier(files).write(frame, "GB")
        good = files.read(segment.path)
        harmless = []
        for at in range(len(good)):
            damaged = bytearray(good)
            damaged[at] ^= 0x55
            files.put(segment.path, damaged)
            try:
                found = WarmTier(files).read(segment, ALL)
            except CorruptDataError as exc:
                assert segment.path in str(exc)
            else:
                harmless.append(at)
                assert found.equals(frame), f"byte {at}"
        footer = segment.size_bytes - segment.facts["footer_bytes"]
        spans = pq.read_metadata(io.BytesIO(good)).row_group(0)
        last = spans.column(spans.num_columns - 1)
        index = (last.dictionary_page_offset or last.data_page_offset or 0) + last.total_compressed_size
        # Only what is not read is harmless: the magic number at the beginning, and the page index for other tools.
        assert set(harmless) == {*range(4), *range(index, footer)}

    @pytest.mark.parametrize("size", [0, 3, 9, 2_000, -9, -1])
    def test_truncated(self, files: Files, size: int) -> None:
        """A file that was cut off is refused by name, also when only some of its columns are read."""
        segment = WarmTier(files).write(calls(30), "GB")
        files.put(segment.path, files.read(segment.path)[:size])
        for columns in (ALL, ["call_id"]):
            with pytest.raises(CorruptDataError, match=segment.id):
                WarmTier(files).read(segment, columns)

    def test_damage_of_one_column(self, files: Files) -> None:
        """Damage of one column is found when that is read, and named; the others are still served."""
        frame = calls(30)
        segment = WarmTier(files).write(frame, "GB")
        data = bytearray(files.read(segment.path))
        found = pq.read_metadata(io.BytesIO(data)).row_group(0)
        (chunk,) = [c for c in map(found.column, range(found.num_columns)) if c.path_in_schema == "source"]
        data[chunk.data_page_offset + 30] ^= 1
        files.put(segment.path, data)
        others = [name for name in ALL if name != "source"]
        tier = WarmTier(files)
        assert_frame_equal(tier.read(segment, others), frame.select(others))
        for _ in range(2):  # what is damaged is not kept
            with pytest.raises(CorruptDataError, match="'source'"):
                tier.read(segment, ["source"])

    def test_another_segments_file(self, files: Files) -> None:
        """The file of another segment under this one's name is refused."""
        tier = WarmTier(files)
        segment, other = tier.write(calls(30), "GB"), tier.write(calls(30, seed=2), "GB")
        files.put(segment.path, files.read(other.path))
        with pytest.raises(CorruptDataError, match=segment.id):
            WarmTier(files).read(segment, ALL)

    def test_log_and_footer_disagree(self, files: Files) -> None:
        """A footer that is whole but speaks of other rows than the log does is refused."""
        segment = WarmTier(files).write(calls(30), "GB")
        with pytest.raises(CorruptDataError, match=segment.id):
            WarmTier(files).read(attrs.evolve(segment, rows=29), ["start"])

    def test_checksums_of_what_cannot_be_read(self, files: Files) -> None:
        """Bytes that have the right checksum and still are no Parquet are refused by name, like any damage."""
        segment = WarmTier(files).write(calls(30), "GB")
        good = files.read(segment.path)
        footer = segment.facts["footer_bytes"]
        zeros = {"footer_bytes": footer, "footer_crc": zlib.crc32(bytes(footer - 8) + good[-8:])}
        files.put(segment.path, good[:-footer] + bytes(footer - 8) + good[-8:])
        with pytest.raises(CorruptDataError, match=segment.id):
            WarmTier(files).read(attrs.evolve(segment, facts=zeros), ["start"])
        chunk = pq.read_metadata(io.BytesIO(good)).row_group(0).column(0)
        size, start = chunk.total_compressed_size, chunk.data_page_offset
        files.put(segment.path, good[:start] + bytes(size) + good[start + size :])
        columns = dict(segment.columns) | {chunk.path_in_schema: zlib.crc32(bytes(size))}
        with pytest.raises(CorruptDataError, match=segment.id):
            WarmTier(files).read(attrs.evolve(segment, columns=columns), [chunk.path_in_schema])

    def test_whole_file_of_no_segment(self, files: Files) -> None:
        """A whole Parquet file that no tier wrote is not loaded."""
        tier = WarmTier(files)
        segment = tier.write(calls(30), "GB")
        (found,) = tier.list_segments()
        foreign = io.BytesIO()
        pq.write_table(pa.table({"start": [1]}), foreign)
        files.put(segment.path, foreign.getvalue())
        with pytest.raises(CorruptDataError, match=segment.id):
            tier.load(found, "GB")


contiguous = st.lists(st.integers(1, 3_000_000), min_size=1, max_size=40).map(
    lambda sizes: list(itertools.pairwise(itertools.accumulate(sizes, initial=4)))
)


class TestParts:
    """The pieces that reading is made of."""

    @given(spans=contiguous.flatmap(lambda found: st.lists(st.sampled_from(found), unique=True)))
    def test_merged_ranges(self, spans: list[tuple[int, int]]) -> None:
        """Every span is within one range; ranges do not overlap; none is larger than the largest or a span alone."""
        ranges = merge_spans(spans)
        for span in spans:
            assert any(start <= span[0] and span[1] <= stop for start, stop in ranges)
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(ranges))
        assert all(stop - start <= 4 << 20 or (start, stop) in spans for start, stop in ranges)
        assert len(ranges) <= len(spans)

    @given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 12)), max_size=40))
    def test_recent_is_bounded(self, puts: list[tuple[str, int]]) -> None:
        """What is kept is what was put last, as much of it as the limit allows."""
        recent, expected = RecentCache[int](20), dict[str, int]()
        for number, (key, weight) in enumerate(puts):
            recent.put(number, weight, key)
            expected.pop(key, None)
            expected[key] = weight
            while sum(expected.values()) > 20:
                del expected[next(iter(expected))]
        assert [key for key in "abcdef" if recent.get(key) is not None] == sorted(expected)

    def test_recent_keeps_what_is_used(self) -> None:
        """Being asked for counts as being used."""
        recent = RecentCache[str](2)
        recent.put("first", 1, "a")
        recent.put("second", 1, "b")
        assert recent.get("a") == "first"
        recent.put("third", 1, "c")
        assert (recent.get("a"), recent.get("b"), recent.get("c")) == ("first", None, "third")

    def test_recent_in_threads(self) -> None:
        """Threads that put the same things leave it with the weight of what it holds."""
        recent = RecentCache[int](100)

        def work(number: int) -> None:
            for round_ in range(200):
                recent.put(round_, 10, str((number + round_) % 5))
                recent.pop(str(round_ % 3))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        for key in "01234":
            recent.pop(key)
        assert recent._weight == 0

    def test_parts_refuse_the_rest(self) -> None:
        """A file of parts gives its parts, and raises for anything beside or across them."""
        parts = _PartialFile({10: b"abcd", 20: b"efgh"}, 40)
        assert parts.seek(0, io.SEEK_END) == 40
        for at, expected in ((10, b"abcd"), (20, b"efgh")):
            parts.seek(at)
            assert parts.read(4) == expected
            assert parts.tell() == at + 4
        for at, size in ((0, 4), (9, 2), (12, 4), (15, 1), (20, -1), (36, 4)):
            parts.seek(at)
            with pytest.raises(OSError, match="points to"):
                parts.read(size)
