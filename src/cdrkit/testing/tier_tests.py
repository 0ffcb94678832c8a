"""The test suite that every tier must pass; subclass it to test a tier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from cdrkit._files import Files
from cdrkit._model import FIELDS, FRAME_TYPES, conform_frame
from cdrkit._numbers import key_search, normalize_number, search_pattern
from cdrkit.errors import CorruptDataError, NotFoundError, StorageError
from cdrkit.samples import synthesize_calls
from cdrkit.storage.indexes import totals_of
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers import SegmentFile, Tier

__all__ = ["TierTests"]

_FLIPS = 40
#: Enough rows for the files that a tier writes beside a large segment.
_ROWS_WITH_COMPANIONS = 5_000
_MOST_FILES = 20


class TierTests:
    """A test suite for a tier; subclass it and run it with pytest.

    A store works with any tier that passes. The subclass overrides `make_tier` and defines the fixture ``files``, which
    returns the files of an empty folder to each test. The suite damages the file at ``segment.path`` among them.

    Example:
        >>> import pytest
        >>> from cdrkit.storage import open_files
        >>> from cdrkit.storage.tiers import WarmTier
        >>> from cdrkit.testing import TierTests
        >>> class TestWarmOnDisk(TierTests):
        ...     @pytest.fixture
        ...     def files(self, tmp_path):
        ...         return open_files(tmp_path)
        ...
        ...     def make_tier(self, files):
        ...         return WarmTier(files)
        >>> TestWarmOnDisk().test_round_trip(open_files("memory://tier-tests-example"))
    """

    def make_tier(self, files: Files) -> Tier:
        """Return a new tier that stores its segments in *files*.

        The new tier must not share state with earlier tiers.

        Raises:
            NotImplementedError: When a subclass does not override this method.
        """
        raise NotImplementedError("Override make_tier() in the subclass to return a tier.")

    # -- writing and reading --------------------------------------------------------------------------------------

    def test_round_trip(self, files: Files) -> None:
        """A stored frame is read back with the same values, order and types.

        Another tier with the same files returns the same frame.
        """
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for reader in (tier, self.make_tier(files)):
            assert_frame_equal(reader.read(segment, list(FIELDS)), frame)

    def test_one_call(self, files: Files) -> None:
        """A segment may hold a single call."""
        tier, frame = self.make_tier(files), _calls(1)
        assert_frame_equal(tier.read(tier.write(frame, "GB"), list(FIELDS)), frame)

    def test_segment_describes_its_calls(self, files: Files) -> None:
        """A segment states its tier, size, number of calls and range of start times."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        assert (segment.tier, segment.rows) == (tier.name, frame.height)
        assert (segment.first, segment.last) == (frame["start"].min(), frame["start"].max())
        assert segment.size_bytes == files.size(segment.path)

    def test_segment_survives_the_log(self, files: Files) -> None:
        """A segment restored from the log's JSON equals the original and can be read."""
        frame = _calls()
        segment = self.make_tier(files).write(frame, "GB")
        restored = Segment.from_dict(json.loads(json.dumps(segment.to_dict())))
        assert restored == segment
        assert_frame_equal(self.make_tier(files).read(restored, list(FIELDS)), frame)

    def test_writes_that_fail(self, files: Files) -> None:
        """A failed write raises the error and leaves no file behind.

        When space is available again, the next write succeeds.
        """
        frame = _calls(_ROWS_WITH_COMPANIONS)
        for room in range(_MOST_FILES):
            full = _FullFiles(files, room)
            try:
                segment = self.make_tier(full).write(frame, "GB")
            except StorageError as exc:
                if exc is not full.error:
                    raise
                assert files.list("") == []
            else:
                break
        assert room, "the tier writes no file among those given"
        assert_frame_equal(self.make_tier(files).read(segment, list(FIELDS)), frame)

    def test_columns_in_any_order(self, files: Files) -> None:
        """The tier returns the requested columns in the requested order."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for names in (["start"], ["charge", "call_id", "switch"], list(FIELDS)[::-1]):
            assert_frame_equal(tier.read(segment, names), frame.select(names))

    def test_missing_columns_are_null(self, files: Files) -> None:
        """A column that the segment lacks is returned as nulls of the column's type."""
        tier, frame = self.make_tier(files), _calls().select("call_id", "start", "source")
        segment = tier.write(frame, "GB")
        frame_read = tier.read(segment, list(FIELDS))
        assert frame_read.schema == FRAME_TYPES
        assert_frame_equal(frame_read.select(frame.columns), frame)
        assert frame_read.drop(frame.columns).null_count().row(0) == (frame.height,) * (len(FIELDS) - 3)
        assert tier.read(segment, ["mos"], range(2, 5)).height == 3

    def test_rows(self, files: Files) -> None:
        """Rows are returned in order, for a range as well as for a list of row numbers.

        A request for no rows returns an empty frame.
        """
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for rows in (range(frame.height), range(7, 40), range(3, 3), range(frame.height - 1, frame.height)):
            frame_read = tier.read(segment, list(FIELDS), rows)
            assert_frame_equal(frame_read, frame[rows.start : rows.stop])
        for numbers in ([0], [1, 2, 50, frame.height - 1], []):
            rows_asked = pl.Series(numbers, dtype=pl.UInt32)
            assert_frame_equal(tier.read(segment, list(FIELDS), rows_asked), frame[numbers])

    def test_gather(self, files: Files) -> None:
        """`gather` returns the same rows in the same order as one `read` per segment."""
        tier = self.make_tier(files)
        frames = [_calls(), _calls(seed=2).select("call_id", "start", "source"), _calls(seed=3)]
        segments = [tier.write(frame, "GB") for frame in frames]
        picks = [pl.Series(rows, dtype=pl.UInt32) for rows in ([0, 7, 299], [5], range(40, 90))]
        for names in (list(FIELDS), ["charge", "call_id", "start", "switch"]):
            expected = pl.concat(
                [tier.read(segment, names, rows) for segment, rows in zip(segments, picks, strict=True)]
            )
            for count in (3, 1):
                asked = list(zip(segments, picks, strict=True))[:count]
                head = expected.head(sum(rows.len() for _, rows in asked))
                assert_frame_equal(self.make_tier(files).gather(asked, names), head)

    def test_rows_with(self, files: Files) -> None:
        """`rows_with` returns None, or exactly the rows that have one of the values."""
        tier = self.make_tier(files)
        for frame in (_calls(), _calls(seed=2).select("call_id", "start", "source")):
            segment = tier.write(frame, "GB")
            for name in ("customer_id", "source", "call_id"):
                column = (
                    frame[name]
                    if name in frame.columns
                    else pl.Series([None] * frame.height, dtype=pl.String)
                )
                present = column.drop_nulls().unique(maintain_order=True).head(2).to_list()
                for values in ([*present, "no such value"], present[:1], ["no such value"]):
                    for rows in (range(frame.height), range(7, 40), range(3, 3)):
                        chosen = tier.rows_with(segment, name, values, rows)
                        if chosen is not None:
                            fits = column.is_in(values).fill_null(False).arg_true()
                            expected = fits.filter(fits.is_between(rows.start, rows.stop, closed="left"))
                            assert chosen.to_list() == expected.to_list()

    # -- indexes and rollups --------------------------------------------------------------------------------------

    def test_find(self, files: Files) -> None:
        """A search finds all matching rows; exact hits contain no other row.

        The tier may return None.
        """
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        texts = [text for text in frame["source"].unique().sort().to_list() if text][::9]
        for text in [*texts, *(text[:6] + "*" for text in texts), "020 7946*"]:
            pattern = search_pattern(text, "GB")
            search = key_search([pattern])
            if search is None:
                continue
            for fields in (["source"], ["source", "destination"], ["did"]):
                hits = self.make_tier(files).find(segment, search, fields, "GB")
                if hits is None:
                    continue
                fits = [
                    row
                    for row, values in enumerate(frame.select(fields).iter_rows())
                    if any(
                        pattern.matches(normalize_number(value, "GB"))
                        for value in values
                        if value is not None
                    )
                ]
                hit_rows = hits.rows.to_list()
                assert hit_rows == sorted(set(hit_rows))
                assert set(fits) <= set(hit_rows)
                assert not hits.exact or hit_rows == fits

    def test_totals(self, files: Files) -> None:
        """If the tier stores a rollup, the rollup equals the totals of the calls."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for reader in (tier, self.make_tier(files)):
            totals = reader.totals(segment)
            if totals is not None:
                assert_frame_equal(totals.rows, totals_of(frame))

    def test_remove_temporary(self, files: Files) -> None:
        """Removing the leftovers of interrupted writes does not change any segment."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        before = files.list("")
        assert tier.remove_temporary(datetime.max.replace(tzinfo=UTC)) == 0
        assert files.list("") == before
        assert_frame_equal(self.make_tier(files).read(segment, list(FIELDS)), frame)

    # -- independent segments -------------------------------------------------------------------------------------

    def test_segments_are_independent(self, files: Files) -> None:
        """Removing a segment keeps all others, even a segment with the same calls."""
        tier, frame, other = self.make_tier(files), _calls(), _calls(seed=2)
        segments = [tier.write(each, "GB") for each in (frame, frame, other)]
        assert len({segment.id for segment in segments}) == 3
        tier.remove(segments[0])
        for reader in (tier, self.make_tier(files)):
            assert_frame_equal(reader.read(segments[1], list(FIELDS)), frame)
            assert_frame_equal(reader.read(segments[2], list(FIELDS)), other)

    def test_removing_twice(self, files: Files) -> None:
        """Removing a removed segment does nothing; reading it raises NotFoundError."""
        import pytest

        tier = self.make_tier(files)
        segment = tier.write(_calls(), "GB")
        tier.remove(segment)
        tier.remove(segment)
        with pytest.raises(NotFoundError):
            tier.read(segment, list(FIELDS))

    def test_threads(self, files: Files) -> None:
        """If threads read one tier at the same time, each gets the rows it requests."""
        writer = self.make_tier(files)
        frames = [_calls(seed=seed) for seed in (1, 2)]
        segments = [writer.write(frame, "GB") for frame in frames]
        tier = self.make_tier(files)
        asked = [(number % 2, list(FIELDS)[number % 7 :]) for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            frames_read = list(pool.map(lambda each: tier.read(segments[each[0]], each[1]), asked))
        for frame, (which, names) in zip(frames_read, asked, strict=True):
            assert_frame_equal(frame, frames[which].select(names))

    # -- damage -----------------------------------------------------------------------------------------------------

    def test_flipped_bytes(self, files: Files) -> None:
        """Reading a damaged file returns the correct rows or raises CorruptDataError.

        The error names the file, and `check` detects every change.
        """
        import pytest

        frame = _calls(60)
        segment = self.make_tier(files).write(frame, "GB")
        messages: list[str] = []
        for damaged in _flip_bytes(files.read(segment.path)):
            files.put(segment.path, damaged)
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).check(segment)
            try:
                frame_read = self.make_tier(files).read(segment, list(FIELDS))
            except CorruptDataError as exc:
                messages.append(str(exc))
            else:
                assert_frame_equal(frame_read, frame)
        assert messages, "the tier detects no changed byte"
        assert all(segment.id in message for message in messages)

    def test_truncated(self, files: Files) -> None:
        """Reading a truncated file raises a CorruptDataError that names the file."""
        import pytest

        segment = self.make_tier(files).write(_calls(60), "GB")
        good = files.read(segment.path)
        for size in (0, 1, len(good) // 2, len(good) - 1):
            files.put(segment.path, good[:size])
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).check(segment)
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).read(segment, list(FIELDS))

    def test_damaged_companions(self, files: Files) -> None:
        """Damaged index files cause no wrong result, and `check` detects them."""
        import pytest

        frame = _calls(60)
        segment = self.make_tier(files).write(frame, "GB")
        text = next(text for text in frame["source"].to_list() if text)
        search = key_search([search_pattern(text, "GB")])
        assert search is not None
        whole = self.make_tier(files)
        expected = whole.find(segment, search, ["source"], "GB"), whole.totals(segment)
        messages: list[str] = []
        for path in [entry.path for entry in files.list("") if entry.path != segment.path]:
            good = files.read(path)
            for damaged in [*_flip_bytes(good), good[: len(good) // 2], b""]:
                files.put(path, damaged)
                with pytest.raises(CorruptDataError, match=segment.id):
                    self.make_tier(files).check(segment)
                tier = self.make_tier(files)
                assert_frame_equal(tier.read(segment, list(FIELDS)), frame)
                try:
                    hits, totals = tier.find(segment, search, ["source"], "GB"), tier.totals(segment)
                except CorruptDataError as exc:
                    messages.append(str(exc))
                    continue
                assert (hits is None) == (expected[0] is None)
                assert (totals is None) == (expected[1] is None)
                if hits is not None and expected[0] is not None:
                    assert hits.rows.equals(expected[0].rows)
                if totals is not None and expected[1] is not None:
                    assert_frame_equal(totals.rows, expected[1].rows)
            files.put(path, good)
        assert all(segment.id in message for message in messages)

    def test_missing(self, files: Files) -> None:
        """Reading a missing file raises a NotFoundError that names the file."""
        import pytest

        segment = self.make_tier(files).write(_calls(), "GB")
        files.remove(segment.path)
        with pytest.raises(NotFoundError, match=segment.id):
            self.make_tier(files).read(segment, list(FIELDS))
        with pytest.raises(NotFoundError, match=segment.id):
            self.make_tier(files).check(segment)

    # -- orphans and rebuilt logs ---------------------------------------------------------------------------------

    def test_check_of_a_whole_segment(self, files: Files) -> None:
        """`check` raises no error for an unchanged segment."""
        segment = self.make_tier(files).write(_calls(), "GB")
        self.make_tier(files).check(segment)

    def test_segments_are_listed_and_loaded(self, files: Files) -> None:
        """The tier lists only its own segments, and loads them unchanged."""
        files.put("elsewhere/note.txt", b"not a segment")
        tier = self.make_tier(files)
        assert list(tier.list_segments()) == []
        segments = {
            segment.id: segment for segment in (tier.write(_calls(seed=seed), "GB") for seed in (1, 2))
        }
        reader = self.make_tier(files)
        listed = list(reader.list_segments())
        assert {each.id: reader.load(each, "GB") for each in listed} == segments

    def test_orphans_can_be_deleted(self, files: Files) -> None:
        """Deleting an orphan removes only that orphan; deleting it again does nothing."""
        tier = self.make_tier(files)
        remaining, removed = (tier.write(_calls(seed=seed), "GB") for seed in (1, 2))
        for each in [each for each in tier.list_segments() if each.id == removed.id] * 2:
            tier.delete_orphan(each)
        assert [each.id for each in tier.list_segments()] == [remaining.id]

    def test_damage_is_not_loaded(self, files: Files) -> None:
        """Loading a damaged file raises a CorruptDataError that names the file."""
        import pytest

        segment = self.make_tier(files).write(_calls(60), "GB")
        file = SegmentFile(id=segment.id, path=segment.path, modified=None)
        for damaged in _flip_bytes(files.read(segment.path)):
            files.put(segment.path, damaged)
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).load(file, "GB")


class _FullFiles:
    """Files that accept a limited number of writes; later writes fail."""

    error = StorageError("No room is left, on purpose.")

    def __init__(self, files: Files, room: int) -> None:
        self._files = files
        self._room = room

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._files, name)
        if name not in ("put", "create", "writer"):
            return method

        def limited(*args: Any, **kwargs: Any) -> Any:
            self._room -= 1
            if self._room < 0:
                raise self.error
            return method(*args, **kwargs)

        return limited


def _calls(rows: int = 300, seed: int = 1) -> pl.DataFrame:
    """Return sorted sample calls of one UTC day; together they use every field."""
    frame = pl.from_arrow(synthesize_calls(rows, days=1, seed=seed, customers=20))
    assert isinstance(frame, pl.DataFrame)
    return conform_frame(frame)


def _flip_bytes(good: bytes) -> Iterator[bytes]:
    """Yield copies of *good*, each with one byte changed at a different offset."""
    for number in range(_FLIPS + 1):
        damaged = bytearray(good)
        damaged[number * (len(good) - 1) // _FLIPS] ^= 0x55
        yield bytes(damaged)
