"""Attacks on signed texts: a changed, expired or exchanged cursor or token is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest

import cdrkit
from cdrkit import Query, ScopedStore, Store
from cdrkit.errors import (
    QueryError,
    RecordingNotFoundError,
    ScopeError,
)
from tests.access.tenants import MINE, SECRET, THEIRS, audited_scope, scope


class TestCursors:
    """A cursor leads on for the viewer that it was issued to."""

    def cursor(self, scoped: ScopedStore) -> str:
        """Return the cursor behind the first three calls."""
        found = scoped.run().page(3).next_cursor
        assert found is not None
        return found

    def test_it_leads_on(self, store: Store) -> None:
        """Pages of a scope are its calls, each once, in order; the scope may be made again for each."""
        seen: list[str] = []
        query = Query().newest_first()
        cursor: str | None = None
        while True:
            page = scope(store).run(query if cursor is None else query.after(cursor)).page(3)
            seen += [record.call_id for record in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert Query.from_params(query.after(cursor).to_params()).position == query.after(cursor).position
        assert seen == [record.call_id for record in reversed(MINE)]

    @pytest.mark.parametrize(
        "other",
        [
            {"customer_id": "1004"},
            {"customer_id": ["1003", "1004"]},
            {"viewer": "bob"},
            {"hide": ["charge"]},
            {"reseller_id": "r1"},
        ],
    )
    def test_swapped(self, store: Store, other: dict[str, Any]) -> None:
        """Another tenant's, another viewer's, or one of other rights is refused."""
        cursor = self.cursor(scope(store, **other))
        with pytest.raises(QueryError, match="belongs to another portal viewer") as caught:
            scope(store).run(Query().after(cursor))
        assert caught.value.parameter == "cursor"

    def test_of_the_whole_store(self, store: Store) -> None:
        """A cursor of the unscoped store, which nobody signed, is refused."""
        cursor = store.run().page(3).next_cursor
        assert cursor is not None
        with pytest.raises(QueryError, match="belongs to another portal viewer"):
            scope(store).run(Query().after(cursor))

    def test_edited(self, store: Store) -> None:
        """No letter of one can be changed, and no part of it left away."""
        scoped = scope(store)
        cursor = self.cursor(scoped)
        place, until, signature = cursor.split(".")
        longer = str(int(until) + 1)
        edited = [
            place,
            f"{place}.",
            f"{place}.{until}",
            f"{place}.{until}.",
            f"{place}.{longer}.{signature}",
            f"{place}.{until}.{signature[:-1]}",
            f"{place}..{signature}",
            f"{place}.{until}.{signature}.x",
            f"{place}.-1.{signature}",
            f"{place}.{until}.é",
        ]
        edited += [
            cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            for at in range(0, len(cursor) - 1, 7)
        ]
        for text in edited:
            with pytest.raises(QueryError) as caught:
                scoped.run(Query().after(text))
            assert caught.value.parameter == "cursor"

    def test_expired(self, store: Store) -> None:
        """After its time it is refused."""
        cursor = self.cursor(scope(store, expires=1))
        time.sleep(2.1)
        with pytest.raises(QueryError, match="has expired"):
            scope(store, expires=1).run(Query().after(cursor))

    def test_another_secret(self, store: Store) -> None:
        """Signed with another secret it is refused; with the same one another process takes it."""
        cursor = self.cursor(scope(store))
        same = cdrkit.open_store("memory://attacked", secret=SECRET)
        assert scope(same).run(Query().after(cursor)).count() == 7
        for other in (
            cdrkit.open_store("memory://attacked"),
            cdrkit.open_store("memory://attacked", secret=SECRET + "x"),
        ):
            with pytest.raises(QueryError, match="belongs to another portal viewer"):
                scope(other).run(Query().after(cursor))


class TestTokens:
    """A token gives access to a recording for the portal viewer that it was issued to."""

    def test_tokens(self, store: Store) -> None:
        """A token finds the recording again, for its action."""
        scoped = audited_scope(store, [])
        token = scoped.recording_token(MINE[2])
        found = audited_scope(store, []).recording_by_token(token)
        assert found.read() == b"sound of call-2"
        with pytest.raises(ScopeError, match="may not download"):
            found.url()

    @pytest.mark.parametrize(
        "other",
        [
            {"customer_id": "1004"},
            {"viewer": "bob"},
            {"recordings": ["play"]},
            {"recordings": []},
            {"mask": ["source"]},
        ],
    )
    def test_swapped_tokens(self, store: Store, other: dict[str, Any]) -> None:
        """A token is no good in another scope, be it narrower or wider."""
        token = audited_scope(store, []).recording_token(MINE[2])
        with pytest.raises(ScopeError, match="another portal viewer"):
            audited_scope(store, [], **other).recording_by_token(token)

    def test_token_for_another_call(self, store: Store) -> None:
        """Who makes a token for a call of others gets one that finds nothing."""
        scoped = audited_scope(store, [])
        with pytest.raises(RecordingNotFoundError):
            scoped.recording_by_token(scoped.recording_token(THEIRS[0]))

    def test_edited_tokens(self, store: Store) -> None:
        """No letter of a token can be changed, a cursor is no token, and it expires."""
        scoped = audited_scope(store, [])
        token = scoped.recording_token(MINE[2])
        cursor = scoped.run().page(3).next_cursor
        edited: list[Any] = ["", ".", "a.b.c", token.partition(".")[0], cursor, None, 7, "é.1.é"]
        edited += [
            token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            for at in range(0, len(token) - 1, 5)
        ]
        for text in edited:
            with pytest.raises(ScopeError, match="token"):
                scoped.recording_by_token(text)
        with pytest.raises(QueryError):
            scoped.run(Query().after(token))
        wrongs: list[dict[str, Any]] = [{"expires": 0}, {"expires": 1.5}, {"action": "url"}]
        for wrong in wrongs:
            with pytest.raises(QueryError):
                scoped.recording_token(MINE[2], **wrong)
        short = scoped.recording_token(MINE[2], expires=1)
        time.sleep(2.1)
        with pytest.raises(ScopeError, match="expired"):
            scoped.recording_by_token(short)
