"""What every tier owes, as tests that the author of another tier runs with pytest."""

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
_ROWS_WITH_COMPANIONS = 5_000  # enough for whatever a tier writes besides the calls of a large segment
_MOST_FILES = 20


class TierTests:
    """The conformance suite of tiers: a tier that passes can stand below a store.

    A subclass brings the fixture ``files``, which gives an empty place to each test, and `make_tier`. The suite
    damages what lies at ``segment.path`` below that place.

    Example:
        >>> import pytest
        >>> from cdrkit.storage import WarmTier, open_files
        >>> class TestWarmOnDisk(TierTests):
        ...     @pytest.fixture
        ...     def files(self, tmp_path):
        ...         return open_files(tmp_path)
        ...
        ...     def make_tier(self, files):
        ...         return WarmTier(files)
    """

    def make_tier(self, files: Files) -> Tier:
        """Return a new tier that keeps its segments among *files*; it knows nothing of earlier ones."""
        raise NotImplementedError("the subclass returns its tier")

    # -- what is written is what is read --------------------------------------------------------------------------

    def test_round_trip(self, files: Files) -> None:
        """A frame comes back as it was written: values, order and types, from another instance as well."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for reader in (tier, self.make_tier(files)):
            assert_frame_equal(reader.read(segment, list(FIELDS)), frame)

    def test_one_call(self, files: Files) -> None:
        """A segment may hold a single call."""
        tier, frame = self.make_tier(files), _calls(1)
        assert_frame_equal(tier.read(tier.write(frame, "GB"), list(FIELDS)), frame)

    def test_segment_describes_its_calls(self, files: Files) -> None:
        """The segment says whose it is, how many calls it holds, and the range of their starts, both ends within."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        assert (segment.tier, segment.rows) == (tier.name, frame.height)
        assert (segment.first, segment.last) == (frame["start"].min(), frame["start"].max())
        assert segment.size_bytes == files.size(segment.path)

    def test_segment_survives_the_log(self, files: Files) -> None:
        """The log keeps a segment as JSON; what comes back equals it and can be read."""
        frame = _calls()
        segment = self.make_tier(files).write(frame, "GB")
        found = Segment.from_dict(json.loads(json.dumps(segment.to_dict())))
        assert found == segment
        assert_frame_equal(self.make_tier(files).read(found, list(FIELDS)), frame)

    def test_writes_that_fail(self, files: Files) -> None:
        """When any file cannot be written, the error comes out and nothing is in sight; with room again, it works."""
        frame = _calls(_ROWS_WITH_COMPANIONS)
        for room in range(_MOST_FILES):
            full = _FullPlace(files, room)
            try:
                segment = self.make_tier(full).write(frame, "GB")
            except StorageError as exc:
                if exc is not full.error:
                    raise
                assert files.list("") == []
            else:
                break
        assert room, "it writes nothing to its place"
        assert_frame_equal(self.make_tier(files).read(segment, list(FIELDS)), frame)

    def test_columns_in_any_order(self, files: Files) -> None:
        """Those columns come back that are asked for, in the order in which they are asked for."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for names in (["start"], ["charge", "call_id", "switch"], list(FIELDS)[::-1]):
            assert_frame_equal(tier.read(segment, names), frame.select(names))

    def test_missing_columns_are_null(self, files: Files) -> None:
        """A column that no call of the segment fills comes back as nulls of its type, as many as there are rows."""
        tier, frame = self.make_tier(files), _calls().select("call_id", "start", "source")
        segment = tier.write(frame, "GB")
        found = tier.read(segment, list(FIELDS))
        assert found.schema == FRAME_TYPES
        assert_frame_equal(found.select(frame.columns), frame)
        assert found.drop(frame.columns).null_count().row(0) == (frame.height,) * (len(FIELDS) - 3)
        assert tier.read(segment, ["mos"], range(2, 5)).height == 3

    def test_rows(self, files: Files) -> None:
        """Rows are a run or ascending numbers; any of them come back in their order, and none is an empty frame."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for rows in (range(frame.height), range(7, 40), range(3, 3), range(frame.height - 1, frame.height)):
            found = tier.read(segment, list(FIELDS), rows)
            assert_frame_equal(found, frame[rows.start : rows.stop])
        for numbers in ([0], [1, 2, 50, frame.height - 1], []):
            rows_asked = pl.Series(numbers, dtype=pl.UInt32)
            assert_frame_equal(tier.read(segment, list(FIELDS), rows_asked), frame[numbers])

    def test_gather(self, files: Files) -> None:
        """Rows of many segments come one segment after the other, as from `read`, whatever columns each has."""
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
        """Just the rows with one of the values, of those asked about; it may tell nothing."""
        tier = self.make_tier(files)
        for frame in (_calls(), _calls(seed=2).select("call_id", "start", "source")):
            segment = tier.write(frame, "GB")
            for name in ("customer_id", "source", "call_id"):
                column = (
                    frame[name]
                    if name in frame.columns
                    else pl.Series([None] * frame.height, dtype=pl.String)
                )
                held = column.drop_nulls().unique(maintain_order=True).head(2).to_list()
                for values in ([*held, "no such value"], held[:1], ["no such value"]):
                    for rows in (range(frame.height), range(7, 40), range(3, 3)):
                        found = tier.rows_with(segment, name, values, rows)
                        if found is not None:
                            fits = column.is_in(values).fill_null(False).arg_true()
                            expected = fits.filter(fits.is_between(rows.start, rows.stop, closed="left"))
                            assert found.to_list() == expected.to_list()

    # -- what a tier may know without a look at the calls ---------------------------------------------------------

    def test_find(self, files: Files) -> None:
        """No row with the number is missing; where the tier is sure, no other row is there. It may tell nothing."""
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
                found = hits.rows.to_list()
                assert found == sorted(set(found))
                assert set(fits) <= set(found)
                assert not hits.exact or found == fits

    def test_totals(self, files: Files) -> None:
        """Totals are those of the calls; a tier may have none."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        for reader in (tier, self.make_tier(files)):
            totals = reader.totals(segment)
            if totals is not None:
                assert_frame_equal(totals.rows, totals_of(frame))

    def test_sweep(self, files: Files) -> None:
        """Sweeping up after writes that were cut off leaves every segment where it is."""
        tier, frame = self.make_tier(files), _calls()
        segment = tier.write(frame, "GB")
        before = files.list("")
        assert tier.remove_temporary(datetime.max.replace(tzinfo=UTC)) == 0
        assert files.list("") == before
        assert_frame_equal(self.make_tier(files).read(segment, list(FIELDS)), frame)

    # -- segments are on their own --------------------------------------------------------------------------------

    def test_segments_do_not_disturb_each_other(self, files: Files) -> None:
        """Two segments are two, even of the same calls; removing one leaves the others."""
        tier, frame, other = self.make_tier(files), _calls(), _calls(seed=2)
        segments = [tier.write(each, "GB") for each in (frame, frame, other)]
        assert len({segment.id for segment in segments}) == 3
        tier.remove(segments[0])
        for reader in (tier, self.make_tier(files)):
            assert_frame_equal(reader.read(segments[1], list(FIELDS)), frame)
            assert_frame_equal(reader.read(segments[2], list(FIELDS)), other)

    def test_removing_twice(self, files: Files) -> None:
        """Removing what is gone does nothing; reading it says that it is gone."""
        import pytest

        tier = self.make_tier(files)
        segment = tier.write(_calls(), "GB")
        tier.remove(segment)
        tier.remove(segment)
        with pytest.raises(NotFoundError):
            tier.read(segment, list(FIELDS))

    def test_threads(self, files: Files) -> None:
        """Threads that read one tier at the same time each get their answer."""
        writer = self.make_tier(files)
        frames = [_calls(seed=seed) for seed in (1, 2)]
        segments = [writer.write(frame, "GB") for frame in frames]
        tier = self.make_tier(files)
        asked = [(number % 2, list(FIELDS)[number % 7 :]) for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda each: tier.read(segments[each[0]], each[1]), asked))
        for frame, (which, names) in zip(found, asked, strict=True):
            assert_frame_equal(frame, frames[which].select(names))

    # -- damage -----------------------------------------------------------------------------------------------------

    def test_flipped_bytes(self, files: Files) -> None:
        """Whatever byte is changed, the right rows come back or CorruptDataError names the file; `check` sees all."""
        import pytest

        frame = _calls(60)
        segment = self.make_tier(files).write(frame, "GB")
        messages: list[str] = []
        for damaged in _flipped(files.read(segment.path)):
            files.put(segment.path, damaged)
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).check(segment)
            try:
                found = self.make_tier(files).read(segment, list(FIELDS))
            except CorruptDataError as exc:
                messages.append(str(exc))
            else:
                assert_frame_equal(found, frame)
        assert messages, "no change of any byte was noticed"
        assert all(segment.id in message for message in messages)

    def test_truncated(self, files: Files) -> None:
        """A file that was cut off anywhere is refused by its name."""
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
        """What lies beside a segment's own file is checked as well: right answers or CorruptDataError, never others."""
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
            for damaged in [*_flipped(good), good[: len(good) // 2], b""]:
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
        """A file that is gone is NotFoundError, by its name; it is never fewer calls."""
        import pytest

        segment = self.make_tier(files).write(_calls(), "GB")
        files.remove(segment.path)
        with pytest.raises(NotFoundError, match=segment.id):
            self.make_tier(files).read(segment, list(FIELDS))
        with pytest.raises(NotFoundError, match=segment.id):
            self.make_tier(files).check(segment)

    # -- without a log ----------------------------------------------------------------------------------------------

    def test_check_of_what_is_whole(self, files: Files) -> None:
        """`check` says nothing of a segment that is as it was written."""
        segment = self.make_tier(files).write(_calls(), "GB")
        self.make_tier(files).check(segment)

    def test_segments_are_found_and_adopted(self, files: Files) -> None:
        """What lies in the tier's place is found, without anything else, and tells all that its segment told."""
        files.put("elsewhere/note.txt", b"not a segment")
        tier = self.make_tier(files)
        assert list(tier.list_segments()) == []
        segments = {
            segment.id: segment for segment in (tier.write(_calls(seed=seed), "GB") for seed in (1, 2))
        }
        reader = self.make_tier(files)
        found = list(reader.list_segments())
        assert {each.id: reader.load(each, "GB") for each in found} == segments

    def test_found_can_be_forgotten(self, files: Files) -> None:
        """Forgetting what was found removes it, and nothing else; forgetting it twice does nothing."""
        tier = self.make_tier(files)
        kept, gone = (tier.write(_calls(seed=seed), "GB") for seed in (1, 2))
        for each in [each for each in tier.list_segments() if each.id == gone.id] * 2:
            tier.delete_orphan(each)
        assert [each.id for each in tier.list_segments()] == [kept.id]

    def test_damage_is_not_adopted(self, files: Files) -> None:
        """A file that is not as it was written is refused by its name."""
        import pytest

        segment = self.make_tier(files).write(_calls(60), "GB")
        found = SegmentFile(id=segment.id, path=segment.path, modified=None)
        for damaged in _flipped(files.read(segment.path)):
            files.put(segment.path, damaged)
            with pytest.raises(CorruptDataError, match=segment.id):
                self.make_tier(files).load(found, "GB")


class _FullPlace:
    """A place with room for so many files, and no more."""

    error = StorageError("There is no room left, on purpose.")

    def __init__(self, files: Files, room: int) -> None:
        self._files = files
        self._room = room

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._files, name)
        if name not in ("put", "create", "writer"):
            return found

        def limited(*args: Any, **kwargs: Any) -> Any:
            self._room -= 1
            if self._room < 0:
                raise self.error
            return found(*args, **kwargs)

        return limited


def _calls(rows: int = 300, seed: int = 1) -> pl.DataFrame:
    """Return made-up calls of one UTC day, in order, in all the columns of the catalogue."""
    frame = pl.from_arrow(synthesize_calls(rows, days=1, seed=seed, customers=20))
    assert isinstance(frame, pl.DataFrame)
    return conform_frame(frame)


def _flipped(good: bytes) -> Iterator[bytes]:
    """Yield *good* with one byte changed, here and there from its first byte to its last."""
    for number in range(_FLIPS + 1):
        damaged = bytearray(good)
        damaged[number * (len(good) - 1) // _FLIPS] ^= 0x55
        yield bytes(damaged)
