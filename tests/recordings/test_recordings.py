"""Recordings: their locations, paths out of the root, their properties and their bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import urllib.request
import wave
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrkit import Store, open_store
from cdrkit._files import open_files
from cdrkit._model import CallRecord
from cdrkit._recordings.audio import detect_format
from cdrkit._recordings.locator import Locator, RecordingLocation, make_locator
from cdrkit._recordings.recording import Recording
from cdrkit.errors import (
    ConfigError,
    MissingExtraError,
    QueryError,
    RecordingNotFoundError,
    ScopeError,
    StorageError,
    UnknownFieldError,
)
from tests.conftest import Place

START = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
ROOTS = ["/srv/rec", "memory://rec", "s3://acme/rec"]


def call(**fields: Any) -> CallRecord:
    """Return a record with a start and an id."""
    return CallRecord(**{"call_id": "1700.1", "start": START, **fields})


def chunk(name: bytes, content: bytes, *, stated: int | None = None) -> bytes:
    """Return a RIFF chunk, padded to an even length, that may lie about its length."""
    length = len(content) if stated is None else stated
    return name + struct.pack("<I", length) + content + b"\0" * (len(content) % 2)


def form(
    tag: int, channels: int, rate: int, bits: int, *, extra: bytes = b"", per_second: int | None = None
) -> bytes:
    """Return a WAVE format chunk."""
    block = channels * ((bits + 7) // 8)
    speed = rate * block if per_second is None else per_second
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, speed, block, bits) + extra)


def riff(*chunks: bytes, stated: int | None = None, kind: bytes = b"RIFF") -> bytes:
    """Return a WAV of *chunks*."""
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if stated is None else stated) + body


def pcm(seconds: float = 1.0) -> bytes:
    """Return a whole WAV of silence, 8 kHz, 16 bits, as the standard library writes it."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8_000)
        writer.writeframes(bytes(int(seconds * 8_000) * 2))
    return buffer.getvalue()


class Folder:
    """A folder of recordings on some filesystem."""

    def __init__(self, place: Place) -> None:
        self.url = f"{place.url}/rec"
        self.options = place.options
        self.put = open_files(self.url, self.options).put

    def locator(self, template: RecordingLocation | None = None) -> Locator:
        """Return a locator of recordings below the folder."""
        return make_locator(template, root=self.url, options=self.options)

    def find(self, recording: str) -> Recording:
        """Return the recording that a record names so."""
        return self.locator().find(call(recording=recording))


@pytest.fixture
def rec(place: Place) -> Folder:
    """Return an empty folder of recordings, on each kind of filesystem in turn."""
    return Folder(place)


def in_folder(folder: Path, data: bytes, name: str = "a.wav") -> Recording:
    """Return the recording of a file just written."""
    (folder / name).write_bytes(data)
    return make_locator(None, root=folder).find(call(recording=name))


class TestTemplates:
    """A template names the place of a recording from the fields of its record."""

    @pytest.mark.parametrize(
        ("template", "path"),
        [
            ("{recording}", "q/a.wav"),
            ("{start:%Y-%m-%d}/{call_id}.wav", "2026-10-25/1700.1.wav"),
            ("{start:%Y/%m/%d}/{recording}", "2026/10/25/q/a.wav"),
            ("{customer_id}-{direction}-{duration:05d}.wav", "1003-inbound-00034.wav"),
            ("rec-{call_id}.wav", "rec-1700.1.wav"),
            ("{{x}}/{call_id}", "{x}/1700.1"),
        ],
    )
    def test_place(self, rec: Folder, template: str, path: str) -> None:
        """Fields are put into the template; the folder before the first placeholder is the root."""
        record = call(recording="q/a.wav", customer_id="1003", direction="inbound", duration=34)
        rec.put(path, b"sound")
        alone = make_locator(f"{rec.url}/{template}", options=rec.options)
        for locator in (alone, rec.locator(template), rec.locator(f"{rec.url}/{template}")):
            recording = locator.find(record)
            assert recording.location == f"{rec.url}/{path}"
            assert recording.call_id == "1700.1"
            assert recording.read() == b"sound"

    def test_full_template_outside_its_root(self, rec: Folder) -> None:
        """A full template that does not lie below the root given with it is refused."""
        for template in ("/elsewhere/{call_id}.wav", f"{rec.url}{{call_id}}.wav"):
            with pytest.raises(ConfigError, match="below the root"):
                rec.locator(template)

    def test_instants_are_utc(self) -> None:
        """A record's instants are UTC, so the day in a path is the UTC day."""
        late = call(start=datetime(2026, 10, 25, 1, 0, tzinfo=timezone(timedelta(hours=2))))
        assert make_locator("/rec/{start:%Y-%m-%d}.wav").find(late).location == "/rec/2026-10-24.wav"

    @pytest.mark.parametrize("fields", [{}, {"recording": ""}])
    def test_lacking_a_field(self, fields: dict[str, Any]) -> None:
        """A record without a field that the template needs has no recording."""
        with pytest.raises(RecordingNotFoundError, match=r"'1700\.1' has no recording") as caught:
            make_locator("/rec/{recording}").find(call(**fields))
        assert caught.value.call_id == "1700.1"

    def test_no_place(self) -> None:
        """Where no place was given, no call has a recording, and the message says what to give."""
        with pytest.raises(RecordingNotFoundError, match="recordings="):
            make_locator(None).find(call(recording="a.wav"))

    @pytest.mark.parametrize(
        "template",
        [
            "/rec/{call_id.__class__}",
            "/rec/{start[0]}",
            "/rec/{call_id!r}",
            "/rec/{start:{call_id}}",
            "/rec/{}",
            "/rec/{0}",
            "/rec/{call_id",
            "/rec/call_id}",
            "/rec/a.wav",
            "/rec/{duration:%Y}",
            "/rec/{call_id:05d}",
            "/rec/{rate:x}",
            "/{recording}",
            "{recording}",
            "rec-{recording}",
            "s3://{recording}",
            "file:///{recording}",
            "memory://{recording}",
            "",
        ],
    )
    def test_bad_template(self, template: str) -> None:
        """What is no plain field, cannot be formatted, or has no folder of its own is refused when it is built."""
        with pytest.raises(ConfigError, match=r"recording template"):
            make_locator(template)

    def test_unknown_field(self) -> None:
        """The error for an unknown field names it and the nearest fields."""
        with pytest.raises(UnknownFieldError) as caught:
            make_locator("/rec/{callid}.wav")
        assert caught.value.close_matches[0] == "call_id"

    def test_neither_text_nor_callable(self) -> None:
        """Anything else is no place."""
        with pytest.raises(ConfigError, match="7"):
            make_locator(7)  # type: ignore[arg-type]

    def test_unused_options(self) -> None:
        """Options without a place are a mistake, and so are options that the disk does not have."""
        with pytest.raises(ConfigError, match="'key'"):
            make_locator(None, options={"key": "x"})
        with pytest.raises(ConfigError, match="'key'"):
            make_locator("/rec/{recording}", options={"key": "x"})


class TestCallables:
    """A callable returns the place of a record's recording."""

    def test_relative_and_full(self, rec: Folder) -> None:
        """Its answer is relative to the root, or a full path or URL below it."""
        rec.put("a/b.wav", b"sound")
        for answer in ("a/b.wav", f"{rec.url}/a/b.wav", "a//./b.wav"):
            recording = rec.locator(lambda record, answer=answer: answer).find(call())
            assert recording.read() == b"sound"

    def test_none(self) -> None:
        """None says that there is no recording."""
        with pytest.raises(RecordingNotFoundError):
            make_locator(lambda record: None, root="/rec").find(call())

    def test_needs_a_root(self) -> None:
        """Without a root nothing would bound it."""
        with pytest.raises(ConfigError, match="root"):
            make_locator(lambda record: "a.wav")

    def test_wrong_answer(self) -> None:
        """An answer that is no text is refused."""
        with pytest.raises(ConfigError, match="5"):
            make_locator(lambda record: 5, root="/rec").find(call())  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "answer",
        ["../x", "/etc/passwd", "a/../../x", "s3://other/x", "file:///etc/passwd", "a\\b", ".", "a\0b"],
    )
    @pytest.mark.parametrize("root", ROOTS)
    def test_outside(self, root: str, answer: str) -> None:
        """Its answer is held to the root like any other."""
        with pytest.raises(ScopeError):
            make_locator(lambda record: answer, root=root).find(call())


class TestRoot:
    """Law: whatever a record says, no path leaves the root of the recordings."""

    def test_full_path_in_the_record(self, rec: Folder) -> None:
        """A switch may write full paths: below the root they are taken relative to what the template says."""
        rec.put("a/b.wav", b"sound")
        for template in ("{recording}", "a/{recording}"):
            found = rec.locator(template).find(call(recording=f"{rec.url}/a/b.wav"))
            assert found.read() == b"sound"

    def test_file_url(self, tmp_path: Path) -> None:
        """On the disk, a file URL is a full path too."""
        (tmp_path / "a.wav").write_bytes(b"sound")
        found = make_locator(None, root=f"file://{tmp_path}").find(call(recording=f"file://{tmp_path}/a.wav"))
        assert found.read() == b"sound"

    @pytest.mark.parametrize(
        "attack",
        [
            "../secret",
            "a/../../secret",
            "..",
            "a/..",
            "a/../..",
            "/etc/passwd",
            "//etc/passwd",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "s3://other/a.wav",
            "http://example.org/a.wav",
            "memory://record/a.wav",
            "memory://rec/../a.wav",
            "C:/a.wav",
            "..\\secret",
            "a\\b.wav",
            "a\0.wav",
        ],
    )
    @pytest.mark.parametrize("root", ROOTS)
    @pytest.mark.parametrize("template", ["{recording}", "a/{recording}"])
    def test_attacks(self, root: str, template: str, attack: str) -> None:
        """Each attack is refused; the message contains neither the root nor the path."""
        locator = make_locator(template, root=root)
        with pytest.raises(ScopeError) as caught:
            locator.find(call(recording=attack))
        assert str(caught.value) == (
            "The recording of call '1700.1' is refused: its path is outside the recordings' root."
        )

    @pytest.mark.parametrize("name", [".", "./", "././/"])
    def test_root_itself(self, name: str) -> None:
        """The root is no recording."""
        with pytest.raises(ScopeError):
            make_locator("/rec/{recording}").find(call(recording=name))

    def test_sibling_with_the_same_beginning(self, tmp_path: Path) -> None:
        """A folder whose name begins like the root's lies outside."""
        (tmp_path / "rec-private").mkdir()
        (tmp_path / "rec-private" / "a.wav").write_bytes(b"secret")
        with pytest.raises(ScopeError):
            make_locator(None, root=tmp_path / "rec").find(call(recording=f"{tmp_path}/rec-private/a.wav"))

    @pytest.mark.parametrize("value", ["1004/x", "../1004", "/etc", "a\\b"])
    def test_other_fields_choose_no_folder(self, value: str) -> None:
        """A slash in any field but the recording is refused: an id must not reach another customer's folder."""
        with pytest.raises(ScopeError):
            make_locator("/rec/{customer_id}/{call_id}.wav").find(call(customer_id=value))

    @pytest.mark.parametrize(
        "name", ["%2e%2e/a.wav", "~root", "$HOME", "a:b.wav", "x::y", "…", "a b", "-rf", "*", "a?b#c"]
    )
    def test_literal_names(self, rec: Folder, name: str) -> None:
        """What is a trick elsewhere is a name like any other here."""
        rec.put(name, b"sound")
        assert rec.find(name).read() == b"sound"

    def test_web_escapes(self) -> None:
        """On the web an encoded .. is one again, so it is refused there."""
        locator = make_locator(None, root="https://example.org/rec")
        for attack in ("%2e%2e/a.wav", "a/%2E./../a.wav", "%2Fetc", "a%5Cb"):
            with pytest.raises(ScopeError):
                locator.find(call(recording=attack))
        assert locator.find(call(recording="a%20b.wav")).location == "https://example.org/rec/a%20b.wav"

    @given(
        st.lists(
            st.sampled_from(["/", ".", "..", "a", "%2e", "\\", "~", ":", "root", "rec", "file:", "//"]),
            min_size=1,
        ).map("".join)
        | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    )
    def test_never_outside(self, recording: str) -> None:
        """Any text is refused, has no recording, or gives a path below the root."""
        try:
            found = make_locator("/srv/rec/{recording}").find(call(recording=recording))
        except (ScopeError, RecordingNotFoundError):
            return
        plain = os.path.normpath(found.location)
        assert plain == found.location
        assert plain.startswith("/srv/rec/")

    def test_symlinks(self, tmp_path: Path) -> None:
        """A link that leads out of the root is refused in every way of access; one that stays inside is followed."""
        root = tmp_path / "rec"
        root.mkdir()
        (tmp_path / "secret").write_bytes(b"secret")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a.wav").write_bytes(b"secret")
        (root / "a.wav").write_bytes(b"sound")
        (root / "out.wav").symlink_to(tmp_path / "secret")
        (root / "root").symlink_to(tmp_path / "folder")
        (root / "in.wav").symlink_to(root / "a.wav")
        locator = make_locator(None, root=root)
        for name in ("out.wav", "root/a.wav", "root"):
            recording = locator.find(call(recording=name))
            attempts: list[Callable[[], object]] = [
                recording.read,
                recording.open,
                recording.play,
                lambda recording=recording: recording.download(tmp_path / "copy.wav"),  # type: ignore[misc]
                lambda recording=recording: recording.exists,  # type: ignore[misc]
                lambda recording=recording: recording.size_bytes,  # type: ignore[misc]
                lambda recording=recording: recording.duration,  # type: ignore[misc]
                lambda recording=recording: recording.format,  # type: ignore[misc]
            ]
            for attempt in attempts:
                with pytest.raises((ScopeError, MissingExtraError)):
                    attempt()
            assert not (tmp_path / "copy.wav").exists()
        assert locator.find(call(recording="in.wav")).read() == b"sound"

    def test_root_that_is_a_link(self, tmp_path: Path) -> None:
        """The root itself may be reached through a link."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "a.wav").write_bytes(b"sound")
        (tmp_path / "rec").symlink_to(tmp_path / "disk")
        assert make_locator(None, root=tmp_path / "rec").find(call(recording="a.wav")).read() == b"sound"


class TestMissing:
    """A recording that is named and not there."""

    def test_every_access(self, rec: Folder, tmp_path: Path) -> None:
        """What needs the file says that it is not there, and whose it is; its format follows from its name."""
        recording = rec.find("gone.mp3")
        assert not recording.exists
        assert recording.format == "mp3"
        assert recording.content_type == "audio/mpeg"
        attempts: list[Callable[[], object]] = [
            recording.open,
            recording.read,
            lambda: recording.download(tmp_path / "copy.mp3"),
            lambda: recording.size_bytes,
            lambda: recording.duration,
        ]
        for attempt in attempts:
            with pytest.raises(RecordingNotFoundError, match=r"1700\.1") as caught:
                attempt()
            assert caught.value.call_id == "1700.1"
        assert not (tmp_path / "copy.mp3").exists()

    def test_appears_later(self, rec: Folder) -> None:
        """Nothing is remembered of a file that was not there."""
        recording = rec.find("a.wav")
        assert not recording.exists
        rec.put("a.wav", pcm(1.5))
        assert recording.exists
        assert recording.duration == 1.5

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        """A folder is no recording, and a pipe is not waited for."""
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        for name in ("folder", "pipe"):
            recording = make_locator(None, root=tmp_path).find(call(recording=name))
            assert not recording.exists
            with pytest.raises(RecordingNotFoundError):
                recording.open()

    def test_repr(self, tmp_path: Path) -> None:
        """Its repr names the call and no path."""
        shown = repr(make_locator(None, root=tmp_path).find(call(recording="a.wav")))
        assert "1700.1" in shown
        assert str(tmp_path) not in shown


class TestBytes:
    """Law: read(start, stop) == whole[start:stop], as HTTP Range needs it."""

    @given(st.binary(max_size=40), st.integers(0, 50), st.none() | st.integers(0, 50))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_range(self, tmp_path: Path, whole: bytes, start: int, more: int | None) -> None:
        """Any half-open range gives that slice; past the end there is nothing."""
        recording = in_folder(tmp_path, whole)
        stop = None if more is None else start + more
        assert recording.read(start, stop) == whole[start:stop]

    def test_ranges(self, rec: Folder) -> None:
        """So it is on every kind of filesystem, at the edges too."""
        whole = b"0123456789"
        rec.put("a.wav", whole)
        recording = rec.find("a.wav")
        edges = [0, 1, 9, 10, 11, 20]
        for start in edges:
            for stop in [None, *(edge for edge in edges if edge >= start)]:
                assert recording.read(start, stop) == whole[start:stop]
        assert recording.size_bytes == 10

    def test_empty(self, rec: Folder) -> None:
        """An empty recording is there and holds nothing."""
        rec.put("a.wav", b"")
        recording = rec.find("a.wav")
        assert recording.exists
        assert (recording.size_bytes, recording.read(), recording.duration) == (0, b"", 0.0)

    @pytest.mark.parametrize("arguments", [(-1,), (0, -1), (5, 4), (1.5,), (0, "9"), (None,)])
    def test_bad_range(self, tmp_path: Path, arguments: tuple[Any, ...]) -> None:
        """A negative start, or a stop before it, is refused."""
        with pytest.raises(QueryError) as caught:
            in_folder(tmp_path, b"sound").read(*arguments)
        assert caught.value.parameter in ("start", "stop")

    def test_open(self, rec: Folder) -> None:
        """An opened recording can seek."""
        rec.put("a.wav", b"0123456789")
        with rec.find("a.wav").open() as file:
            file.seek(4)
            assert file.read(2) == b"45"


class TestDownload:
    """A copy, whole or not at all."""

    def test_to_a_path(self, rec: Folder, tmp_path: Path) -> None:
        """It goes to the path given, which comes back; folders on the way are made."""
        rec.put("day/a.gsm", b"sound")
        recording = rec.find("day/a.gsm")
        dest = tmp_path / "new" / "b.gsm"
        assert recording.download(dest) == str(dest)
        assert dest.read_bytes() == b"sound"

    def test_to_a_folder(self, rec: Folder, tmp_path: Path) -> None:
        """Into a folder it goes under its own name, suffix and all."""
        rec.put("day/a.gsm", b"sound")
        recording = rec.find("day/a.gsm")
        (tmp_path / "there").mkdir()
        assert recording.download(tmp_path / "there") == str(tmp_path / "there" / "a.gsm")
        assert recording.download(f"{tmp_path}/made/") == str(tmp_path / "made" / "a.gsm")
        assert (tmp_path / "made" / "a.gsm").read_bytes() == b"sound"

    def test_to_a_url(self, rec: Folder) -> None:
        """Any URL will do."""
        rec.put("a.wav", b"sound")
        recording = rec.find("a.wav")
        memory = fsspec.filesystem("memory")
        try:
            assert recording.download("memory://copies/") == "memory://copies/a.wav"
            assert memory.cat_file("/copies/a.wav") == b"sound"
        finally:
            memory.rm("/copies", recursive=True)

    def test_existing(self, rec: Folder, tmp_path: Path) -> None:
        """What is there stays, unless overwriting is asked for."""
        rec.put("a.wav", b"sound")
        recording = rec.find("a.wav")
        dest = tmp_path / "b.wav"
        dest.write_bytes(b"mine")
        with pytest.raises(StorageError, match="overwrite=True"):
            recording.download(dest)
        assert dest.read_bytes() == b"mine"
        recording.download(dest, overwrite=True)
        assert dest.read_bytes() == b"sound"


class TestDuration:
    """Law: the duration is what the sound in the file plays, whatever its header claims."""

    @given(
        st.sampled_from([1, 2]),
        st.sampled_from([1, 2, 3, 4]),
        st.sampled_from([8_000, 44_100]),
        st.integers(0, 999),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_against_wave(self, tmp_path: Path, channels: int, width: int, rate: int, frames: int) -> None:
        """It is the standard library's number of frames by its rate."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as writer:
            writer.setnchannels(channels)
            writer.setsampwidth(width)
            writer.setframerate(rate)
            writer.writeframes(bytes(frames * channels * width))
        recording = in_folder(tmp_path, buffer.getvalue())
        with wave.open(io.BytesIO(buffer.getvalue())) as reader:
            assert recording.duration == reader.getnframes() / reader.getframerate()
        assert recording.format == "wav"
        assert recording.content_type == "audio/wav"

    @given(st.just(0) | st.integers(12, 300), st.sampled_from([None, 0, 0xFFFFFFFF, 0x7FFFFFFF, 200]))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_cut_and_lying(self, tmp_path: Path, kept: int, stated: int | None) -> None:
        """Cut anywhere after the mark that it is a WAV, with any stated length, it plays what is there and no more."""
        sound = bytes(200)
        whole = riff(form(1, 1, 8_000, 16), chunk(b"data", sound, stated=stated), stated=0xFFFFFFFF)
        recording = in_folder(tmp_path, whole[:kept])
        there = max(min(kept, len(whole)) - 44, 0)
        assert recording.duration == there // 2 / 8_000

    def test_unfinished(self, tmp_path: Path) -> None:
        """A header still at zero, as while a call is recorded, means all that follows."""
        data = riff(form(1, 1, 8_000, 16), chunk(b"data", bytes(16_000), stated=0), stated=0)
        assert in_folder(tmp_path, data).duration == 1.0

    def test_finished_and_silent(self, tmp_path: Path) -> None:
        """A finished file without any sound plays for no time, whatever follows its sound."""
        data = riff(form(1, 1, 8_000, 16), chunk(b"data", b""), chunk(b"LIST", bytes(400)))
        assert in_folder(tmp_path, data).duration == 0.0

    def test_chunks_around(self, tmp_path: Path) -> None:
        """Other chunks, odd ones and long ones too, are stepped over."""
        for size in (3, 4, 9_001):
            data = riff(
                chunk(b"LIST", bytes(size)),
                form(1, 2, 8_000, 16),
                chunk(b"junk", bytes(size)),
                chunk(b"data", bytes(32_000)),
                chunk(b"id3 ", bytes(size)),
            )
            assert in_folder(tmp_path, data, f"{size}.wav").duration == 1.0

    @pytest.mark.parametrize(
        ("header", "length", "seconds"),
        [
            (form(7, 1, 8_000, 8), 4_000, 0.5),
            (form(6, 2, 8_000, 8), 4_000, 0.25),
            (form(3, 1, 16_000, 32), 64_000, 1.0),
            (form(0x31, 1, 8_000, 0, extra=b"\x02\0\x40\x01", per_second=1_625), 3_250, 2.0),
            (form(0x11, 1, 8_000, 4, extra=b"\x02\0\xf9\x01", per_second=4_055), 4_055, 1.0),
            (form(0xFFFE, 1, 8_000, 16, extra=b"\x16\0\x10\0\x04\0\0\0\x01\0" + bytes(14)), 16_000, 1.0),
            (form(0xFFFE, 1, 8_000, 8, extra=b"\x16\0\x08\0\x04\0\0\0\x07\0" + bytes(14)), 8_000, 1.0),
            (form(1, 0, 8_000, 16), 100, None),
            (form(1, 1, 0, 16), 100, None),
            (b"", 100, None),
            (chunk(b"fmt ", b"\x01\0"), 100, None),
        ],
        ids=[
            "ulaw",
            "alaw",
            "float",
            "gsm",
            "adpcm",
            "extensible",
            "extensible ulaw",
            "0 channels",
            "0 Hz",
            "none",
            "short",
        ],
    )
    def test_codings(self, tmp_path: Path, header: bytes, length: int, seconds: float | None) -> None:
        """Each coding plays at its rate; a header that says nothing of it leaves the duration unknown."""
        assert in_folder(tmp_path, riff(header, chunk(b"data", bytes(length)))).duration == seconds

    def test_endless_chunks(self, tmp_path: Path) -> None:
        """A file of nothing but empty chunks is given up."""
        assert in_folder(tmp_path, riff(*[chunk(b"junk", b"")] * 5_000)).duration is None

    @pytest.mark.parametrize(
        ("name", "data", "kind", "seconds"),
        [
            ("a.gsm", b"\xd0" * 1_650, "gsm", 1.0),
            ("a.ulaw", b"\xff" * 8_000, "ulaw", 1.0),
            ("a.ul", b"\xff\xfb\x90\x64" * 4_000, "ulaw", 2.0),
            ("a.sln", bytes(8_000), "sln", 0.5),
            ("a.wav", b"", "wav", 0.0),
            ("a.mp3", b"", "mp3", 0.0),
            ("a.wav", b"RIFF", "wav", None),
            ("a.WAV", pcm(2.0), "wav", 2.0),
            ("a.mp3", pcm(2.0), "wav", 2.0),
            ("a", pcm(2.0), "wav", 2.0),
            ("a.xyz", b"whatever", None, None),
            ("a.wav", b"ID3\4", "mp3", None),
            ("a.wav", b"\xff\xfb\x90\x64", "mp3", 0.0),  # a frame without its sound
            (
                "a",
                riff(form(1, 1, 8_000, 16), chunk(b"data", bytes(8_000), stated=0xFFFFFFFF), kind=b"RF64"),
                "wav",
                0.5,
            ),
        ],
    )
    def test_formats(
        self, tmp_path: Path, name: str, data: bytes, kind: str | None, seconds: float | None
    ) -> None:
        """The content gives the format, otherwise the suffix; raw telephony formats have one rate."""
        recording = in_folder(tmp_path, data, name)
        assert recording.format == kind
        assert recording.duration == seconds
        if kind is None:
            assert recording.content_type == "application/octet-stream"

    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (b"OggS\0\2", "ogg"),
            (b"fLaC\0", "flac"),
            (b"#!AMR\n", "amr"),
            (b".snd\0\0", "au"),
            (b"\x1aE\xdf\xa3", "webm"),
            (b"\0\0\0\x20ftypM4A ", "m4a"),
            (b"FORM\0\0\0\0AIFF", "aiff"),
            (b"\xff\xf1\x50\x80", "aac"),
            (b"\xff\xf3\x40\xc0", "mp3"),
            (b"\xff\xff\xff\xff", None),
            (b"\xff\xe0\0\0", None),
            (b"RIFF\0\0\0\0AVI ", None),
            (b"", None),
        ],
    )
    def test_marks(self, head: bytes, kind: str | None) -> None:
        """Each format is known by the mark that it begins with."""
        assert detect_format(head, "") == kind

    @given(st.binary(max_size=120), st.booleans())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_bytes(self, tmp_path: Path, data: bytes, marked: bool) -> None:
        """Whatever the bytes are, the duration is a number from 0 or unknown."""
        recording = in_folder(tmp_path, riff(form(1, 1, 8_000, 16))[:20] + data if marked else data)
        duration = recording.duration
        assert duration is None or duration >= 0

    def test_samples(self, samples: Path) -> None:
        """Real prompts: WAV as the standard library measures it; the same prompt as GSM within a frame of it."""
        locator = make_locator(None, root=samples / "audio")
        for path in sorted((samples / "audio").glob("*.wav")):
            with wave.open(str(path)) as reader:
                expected = reader.getnframes() / reader.getframerate()
            wav = locator.find(call(recording=path.name))
            gsm = locator.find(call(recording=path.with_suffix(".gsm").name))
            assert wav.duration == expected
            assert (wav.format, gsm.format) == ("wav", "gsm")
            assert gsm.duration == pytest.approx(expected, abs=0.025)
        mp3 = locator.find(call(recording="recording.mp3"))
        assert (mp3.format, mp3.content_type) == ("mp3", "audio/mpeg")
        assert mp3.duration == pytest.approx(3.056, abs=0.001)


class TestResponses:
    """What a browser is answered that asks for ranges of bytes (RFC 9110, section 14)."""

    SOUND = bytes(range(100))

    @pytest.mark.parametrize(
        ("header", "status", "wanted"),
        [
            (None, 200, slice(0, 100)),
            ("bytes=0-", 206, slice(0, 100)),
            ("bytes=0-0", 206, slice(0, 1)),
            ("bytes=10-19", 206, slice(10, 20)),
            ("bytes=90-1000", 206, slice(90, 100)),
            ("bytes=99-99", 206, slice(99, 100)),
            ("Bytes=1-2", 206, slice(1, 3)),
            ("bytes= 1-2 ", 206, slice(1, 3)),
            ("bytes=-1", 206, slice(99, 100)),
            ("bytes=-100", 206, slice(0, 100)),
            ("bytes=-5000", 206, slice(0, 100)),
            ("bytes=0-" + "9" * 20, 206, slice(0, 100)),
            ("bytes=100-", 416, slice(0, 0)),
            ("bytes=100-200", 416, slice(0, 0)),
            ("bytes=-0", 416, slice(0, 0)),
            ("bytes=" + "9" * 20 + "-", 416, slice(0, 0)),
            ("bytes=0-" + "9" * 5000, 200, slice(0, 100)),
            ("bytes=0-1,5-6", 200, slice(0, 100)),
            ("bytes=5-2", 200, slice(0, 100)),
            ("bytes=-", 200, slice(0, 100)),
            ("bytes=", 200, slice(0, 100)),
            ("bytes", 200, slice(0, 100)),
            ("bytes=a-b", 200, slice(0, 100)),
            ("bytes=1", 200, slice(0, 100)),
            ("bytes=--1", 200, slice(0, 100)),
            ("bytes=+1-2", 200, slice(0, 100)),
            ("bytes=1 - 2", 200, slice(0, 100)),
            ("bytes=\u0661-", 200, slice(0, 100)),
            ("lines=0-1", 200, slice(0, 100)),
            ("", 200, slice(0, 100)),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_ranges(self, tmp_path: Path, header: str | None, status: int, wanted: slice) -> None:
        """Status, headers and bytes are as the RFC says; what is malformed is ignored."""
        answer = in_folder(tmp_path, self.SOUND, "a.ul").respond(header)
        assert answer.status == status
        expected = self.SOUND[wanted]
        assert b"".join(answer.body) == expected
        assert answer.headers["Content-Length"] == str(len(expected))
        assert answer.headers["Content-Type"] == "audio/PCMU"
        assert answer.headers["Accept-Ranges"] == "bytes"
        stated = {206: f"bytes {wanted.start}-{wanted.stop - 1}/100", 416: "bytes */100"}
        assert answer.headers.get("Content-Range") == stated.get(status)

    @given(
        first=st.integers(0, 300_000),
        length=st.integers(1, 300_000),
        sizes=st.sampled_from([1, 65_536, 200_001]),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    def test_any_range(self, tmp_path: Path, first: int, length: int, sizes: int) -> None:
        """Any range, over any number of blocks, is that part of the file."""
        whole = (bytes(range(251)) * 800)[:sizes]
        answer = in_folder(tmp_path, whole, "a.ul").respond(f"bytes={first}-{first + length - 1}")
        blocks = list(answer.body)
        assert b"".join(blocks) == whole[first : first + length]
        assert answer.status == (206 if first < sizes else 416)
        assert all(0 < len(block) <= 65_536 for block in blocks)

    def test_everywhere(self, rec: Folder) -> None:
        """It is the same on every filesystem."""
        rec.put("a.wav", pcm())
        answer = rec.find("a.wav").respond("bytes=-100")
        assert (answer.status, b"".join(answer.body)) == (206, pcm()[-100:])
        with pytest.raises(RecordingNotFoundError):
            rec.find("b.wav").respond("bytes=0-1")

    def test_empty(self, tmp_path: Path) -> None:
        """Of nothing there is no range."""
        empty = in_folder(tmp_path, b"", "a.ul")
        assert (empty.respond().status, list(empty.respond().body)) == (200, [])
        assert empty.respond("bytes=0-").headers["Content-Range"] == "bytes */0"

    def test_given_up(self, tmp_path: Path) -> None:
        """A client that goes away leaves no file open: a warning would fail this test."""
        body = in_folder(tmp_path, bytes(200_000), "a.ul").respond().body
        next(body)
        assert hasattr(body, "close")
        body.close()

    @pytest.mark.parametrize(
        ("call_id", "name"),
        [
            ("1700.1", "2026-10-25T003000Z_1700.1.wav"),
            ('a"; filename=x', "2026-10-25T003000Z_a_filename_x.wav"),
            ("../../etc/passwd", "2026-10-25T003000Z_etc_passwd.wav"),
            ("\r\nSet-Cookie: a", "2026-10-25T003000Z_Set-Cookie_a.wav"),
            ("…", "2026-10-25T003000Z_call.wav"),
            ("x" * 500, f"2026-10-25T003000Z_{'x' * 80}.wav"),
        ],
    )
    def test_names(self, tmp_path: Path, call_id: str, name: str) -> None:
        """A call id cannot break out of a header or choose a folder."""
        (tmp_path / "a.WAV").write_bytes(pcm())
        recording = make_locator(None, root=tmp_path).find(call(call_id=call_id, recording="a.WAV"))
        assert recording.file_name == name
        said = recording.respond(download=True).headers["Content-Disposition"]
        assert said == f'attachment; filename="{name}"'


class TestLayouts:
    """Where switches, and the jobs behind them, put files."""

    def test_folders_by_local_date(self, rec: Folder) -> None:
        """Instants of a template can be those of the switch's zone: here, another day than in UTC."""
        rec.put("2026-10-26/0230-a.wav", b"sound")
        late = call(call_id="a", start=datetime(2026, 10, 25, 13, 30, tzinfo=UTC))
        template = "{start:%Y-%m-%d/%H%M}-{call_id}.wav"
        there = make_locator(template, root=rec.url, options=rec.options, timezone="Pacific/Auckland")
        assert there.find(late).read() == b"sound"
        assert not make_locator(template, root=rec.url, options=rec.options).find(late).exists

    def test_changed_suffix(self, rec: Folder) -> None:
        """A recording that was compressed since is found by another suffix; the one it names comes first."""
        locator = make_locator(None, root=rec.url, options=rec.options, suffixes=[".mp3", "opus"])
        recording = locator.find(call(recording="q/a.wav"))
        assert not recording.exists
        rec.put("q/a.opus", b"opus")
        assert (recording.exists, recording.read(), recording.format) == (True, b"opus", "ogg")
        rec.put("q/a.mp3", b"mp3")
        assert locator.find(call(recording="q/a.wav")).read() == b"mp3"
        rec.put("q/a.wav", b"wav")
        assert locator.find(call(recording="q/a.wav")).read() == b"wav"
        assert locator.find(call(recording="q/a.wav")).location.endswith("q/a.wav")

    @pytest.mark.parametrize("suffixes", ["mp3", ["exe"], [7], 7, ["mp3/../../x"], [""]])
    def test_wrong_suffixes(self, tmp_path: Path, suffixes: Any) -> None:
        """A suffix is one of a recording."""
        with pytest.raises(ConfigError, match="uffix"):
            make_locator(None, root=tmp_path, suffixes=suffixes)

    def test_wrong_zone(self, tmp_path: Path) -> None:
        """A zone is one that there is."""
        with pytest.raises(ConfigError, match="time zone"):
            make_locator(None, root=tmp_path, timezone="Mars/Base")

    def test_a_link_by_another_suffix(self, tmp_path: Path) -> None:
        """The other suffixes lead out of the root no more than the first does."""
        (tmp_path / "rec").mkdir()
        (tmp_path / "secret.mp3").write_bytes(b"secret")
        (tmp_path / "rec" / "a.mp3").symlink_to(tmp_path / "secret.mp3")
        found = make_locator(None, root=tmp_path / "rec", suffixes=["mp3"]).find(call(recording="a.wav"))
        with pytest.raises(ScopeError):
            found.read()


class TestZip:
    """The recordings of many calls, in one file that streams."""

    def store(self, folder: Path, calls: list[CallRecord]) -> Store:
        """Return a store of calls, whose recordings lie in the folder."""
        made = open_store(folder / "calls", recordings=f"{folder / 'rec'}/{{recording}}")
        made.append(calls)
        return made

    def test_what_is_in_it(self, tmp_path: Path) -> None:
        """Every recording is there as it is, and the manifest says of each how it was found."""
        (tmp_path / "rec").mkdir()
        (tmp_path / "secret.wav").write_bytes(b"secret")
        whole = pcm()
        files = {"a.wav": whole, "b.wav": b"", "c.wav": whole[:1000], "e.wav": whole}
        for name, data in files.items():
            (tmp_path / "rec" / name).write_bytes(data)
        (tmp_path / "rec" / "f.wav").symlink_to(tmp_path / "secret.wav")
        names = [*files, "d.wav", "f.wav", "../secret.wav", None]
        calls = [
            call(call_id=f"=1+{at}", recording=name, start=START + timedelta(seconds=at))
            for at, name in enumerate(names)
        ]
        calls.append(call(call_id="=1-0", recording="a.wav"))
        packed = zipfile.ZipFile(io.BytesIO(b"".join(self.store(tmp_path, calls).zip_recordings())))
        assert packed.testzip() is None
        assert packed.namelist()[-1] == "manifest.csv"
        manifest = list(csv.DictReader(io.StringIO(packed.read("manifest.csv").decode())))
        assert [(line["call_id"], line["state"]) for line in manifest] == [
            ("'=1+0", "complete"),
            ("'=1-0", "complete"),
            ("'=1+1", "empty"),
            ("'=1+2", "incomplete"),
            ("'=1+3", "complete"),
            ("'=1+4", "missing"),
            ("'=1+5", "refused"),
            ("'=1+6", "refused"),
        ]
        for line in manifest:
            if line["file"]:
                data = packed.read(line["file"])
                assert hashlib.sha256(data).hexdigest() == line["sha256"]
                assert len(data) == int(line["size_bytes"])
                assert line["file"].startswith("2026-10-25/2026-10-25T0030")
        assert manifest[0]["file"] != manifest[1]["file"]
        assert packed.read(manifest[4]["file"]) == whole
        assert (manifest[0]["duration"], manifest[0]["start"]) == ("1.0", "2026-10-25T00:30:00Z")

    def test_same_names(self, tmp_path: Path) -> None:
        """Calls whose names would be the same have files of their own."""
        (tmp_path / "rec").mkdir()
        for name in ("a.wav", "b.wav"):
            (tmp_path / "rec" / name).write_bytes(name.encode())
        calls = [call(call_id="x/y", recording="a.wav"), call(call_id="x?y", recording="b.wav")]
        packed = zipfile.ZipFile(io.BytesIO(b"".join(self.store(tmp_path, calls).zip_recordings())))
        assert [packed.read(name) for name in packed.namelist()[:2]] == [b"a.wav", b"b.wav"]

    def test_memory(self, tmp_path: Path) -> None:
        """Pieces come as they are read: none is larger than a block and what frames it."""
        (tmp_path / "rec").mkdir()
        (tmp_path / "rec" / "a.ul").write_bytes(bytes(3_000_000))
        pieces = self.store(tmp_path, [call(recording="a.ul")]).zip_recordings()
        assert max(len(piece) for piece in pieces) < 70_000

    def test_nothing(self, tmp_path: Path) -> None:
        """Without calls there is a manifest without lines."""
        packed = zipfile.ZipFile(io.BytesIO(b"".join(self.store(tmp_path, []).zip_recordings())))
        assert packed.namelist() == ["manifest.csv"]
        assert packed.read("manifest.csv").startswith(b"file,call_id,start,state")

    def test_other_programs_read_it(self, tmp_path: Path) -> None:
        """`unzip` takes it for whole, where it is installed."""
        if shutil.which("unzip") is None:
            pytest.skip("unzip is not installed")
        (tmp_path / "rec").mkdir()
        (tmp_path / "rec" / "a.wav").write_bytes(pcm())
        out = tmp_path / "calls.zip"
        out.write_bytes(b"".join(self.store(tmp_path, [call(recording="a.wav")]).zip_recordings()))
        done = subprocess.run(["unzip", "-tq", out], capture_output=True, text=True, check=True)
        assert "No errors detected" in done.stdout


class TestPlaying:
    """In a notebook, and by a signed URL."""

    def test_without_ipython(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where IPython is missing, the message names the extra to install."""
        monkeypatch.setitem(sys.modules, "IPython", None)
        monkeypatch.setitem(sys.modules, "IPython.display", None)
        with pytest.raises(
            MissingExtraError, match=r"'cdrkit\[notebook\]', or '\.\[notebook\]' in"
        ) as caught:
            in_folder(tmp_path, pcm()).play()
        assert caught.value.extra == "notebook"

    def test_player(self, tmp_path: Path) -> None:
        """The player holds the sound itself, with its media type, and no path."""
        pytest.importorskip("IPython.display")
        data = pcm()
        assert in_folder(tmp_path, data).play().data == data
        shown = in_folder(tmp_path, b"ID3\4", "a.mp3").play()._repr_html_()
        assert "data:audio/mpeg;base64," in shown
        assert str(tmp_path) not in shown

    @pytest.mark.parametrize("root", ["/rec", "memory://rec"])
    def test_unsigned(self, root: str) -> None:
        """The disk and the memory sign nothing; the message says what to do instead."""
        with pytest.raises(ConfigError, match="(?i)stream"):
            make_locator(None, root=root).find(call(recording="a.wav")).url(expires=60)

    @pytest.mark.parametrize("expires", [0, -1, 1.5, "60"])
    def test_bad_expiry(self, tmp_path: Path, expires: Any) -> None:
        """It expires after a whole number of seconds above 0."""
        with pytest.raises(QueryError, match="expires"):
            in_folder(tmp_path, b"sound").url(expires=expires)

    @pytest.mark.s3
    def test_signed(self, s3_options: dict[str, object]) -> None:
        """A signed URL of an object store reads the object without credentials."""
        fsspec.filesystem("s3", **s3_options).mkdir("signed")
        rec = Folder(Place("s3://signed/calls", s3_options))
        rec.put("a.wav", b"sound")
        url = rec.find("a.wav").url(expires=60)
        with urllib.request.urlopen(url) as response:
            assert response.read() == b"sound"
