"""Attacks on recordings: no path and no record gives another tenant's recording."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest

import cdrkit
from cdrkit import AuditEvent, Query, Store
from cdrkit.errors import (
    RecordingNotFoundError,
    ScopeError,
)
from tests.access.tenants import MINE, THEIRS, audited_scope, call, scope


class TestRecordings:
    """A recording is given only to its tenant, with the right to it, and the audit reports it."""

    def test_of_others(self, store: Store) -> None:
        """Another tenant's call has no recording, in the words for a call that does not exist."""
        scoped = audited_scope(store, [])
        said = []
        for foreign in (
            THEIRS[0],
            attrs.evolve(MINE[0], call_id="none"),
            attrs.evolve(THEIRS[0], customer_id="1003"),
        ):
            with pytest.raises(RecordingNotFoundError) as caught:
                scoped.recording(foreign)
            assert caught.value.url is None
            said.append(str(caught.value).replace(foreign.call_id, "X"))
        assert len(set(said)) == 1

    @pytest.mark.parametrize(
        "path",
        ["call-12.wav", "../secret.wav", "/etc/passwd", "file:///etc/passwd", "a\0b", "..\\secret.wav", ""],
    )
    def test_forged_path(self, store: Store, path: str) -> None:
        """What a record says of its recording is not believed: the stored call says where it lies."""
        forged = attrs.evolve(MINE[3], recording=path)
        assert audited_scope(store, []).recording(forged).read() == b"sound of call-3"

    def test_stored_path_out_of_the_root(self, sounds: Path) -> None:
        """A path that a switch wrote into a record, and that leaves the root, is refused without being named."""
        made = cdrkit.open_store("memory://climbing", recordings=f"{sounds}/{{recording}}")
        (sounds / "link.wav").unlink(missing_ok=True)
        (sounds / "link.wav").symlink_to(sounds.parent / "secret.wav")
        for number, path in enumerate(["../secret.wav", "/etc/passwd", "link.wav"]):
            made.append(call(number, call_id=f"climb-{number}", recording=path))
            with pytest.raises(ScopeError) as caught:
                made.scoped(customer_id="1003", recordings=["play"]).recording(
                    call(number, call_id=f"climb-{number}")
                ).read()
            assert "secret" not in str(caught.value)
            assert "passwd" not in str(caught.value)

    def test_without_the_right(self, store: Store, tmp_path: Path) -> None:
        """Play and download are rights of their own; a scope has neither unless it is given."""
        with pytest.raises(ScopeError, match="may not play"):
            scope(store).recording(MINE[0])
        playing = scope(store, recordings=["play"]).recording(MINE[0])
        assert playing.read() == b"sound of call-0"
        refusals: list[Callable[[], object]] = [partial(playing.download, tmp_path / "a.wav"), playing.url]
        for refused in refusals:
            with pytest.raises(ScopeError, match="may not download"):
                refused()
        assert list(tmp_path.iterdir()) == []
        loading = scope(store, recordings=["download"]).recording(MINE[0])
        for listen in (loading.read, loading.open):
            with pytest.raises(ScopeError, match="may not play"):
                listen()

    def test_respond(self, store: Store) -> None:
        """A browser's answer needs the right to play, or to download, and names nothing of the server."""
        events: list[AuditEvent] = []
        answer = audited_scope(store, events).recording(MINE[4]).respond("bytes=0-4", download=True)
        assert (answer.status, b"".join(answer.body)) == (206, b"sound")
        assert answer.headers["Content-Disposition"] == (
            'attachment; filename="2026-11-22T090400Z_call-4.wav"'
        )
        assert [event.action for event in events] == ["download"]
        playing = scope(store, recordings=["play"]).recording(MINE[4])
        assert playing.respond().status == 200
        with pytest.raises(ScopeError, match="may not download"):
            playing.respond(download=True)

    def test_zip(self, store: Store) -> None:
        """A ZIP holds the tenant's recordings, whatever is asked and masked; each is heard of; the right is needed."""
        events: list[AuditEvent] = []
        scoped = audited_scope(store, events, mask=["source"])
        packed = zipfile.ZipFile(io.BytesIO(b"".join(scoped.zip_recordings(Query().order_by("-duration")))))
        sounds = {packed.read(name) for name in packed.namelist() if name.endswith(".wav")}
        assert sounds == {f"sound of {record.call_id}".encode() for record in MINE}
        assert [event.action for event in events] == ["export"] + ["download"] * len(MINE)
        assert {event.call_id for event in events[1:]} == {record.call_id for record in MINE}
        for less in ([], ["play"]):
            with pytest.raises(ScopeError, match="may not download"):
                scope(store, recordings=less).zip_recordings()
        with pytest.raises(ScopeError, match="is masked"):
            scoped.zip_recordings(Query().number("*0003"))

    def test_its_place_is_not_disclosed(self, store: Store) -> None:
        """Where it lies on the server is not for a tenant."""
        with pytest.raises(ScopeError):
            _ = audited_scope(store, []).recording(MINE[0]).location

    def test_a_file_that_is_gone(self, sounds: Path) -> None:
        """The error for a missing file does not name its place."""
        made = cdrkit.open_store("memory://gone", recordings=f"{sounds}/{{recording}}")
        made.append(call(1, recording="gone.wav"))
        gone = audited_scope(made, []).recording(call(1))
        for use in (gone.read, gone.open, gone.respond, lambda: gone.duration):
            with pytest.raises(RecordingNotFoundError) as caught:
                use()
            assert caught.value.url is None
            assert "gone.wav" not in str(caught.value)
        assert gone.state == "missing"
