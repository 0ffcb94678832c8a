"""Attacks on masks: no result and no condition shows a masked digit."""

from __future__ import annotations

import pytest

import cdrkit
from cdrkit import Query, Store, field
from cdrkit.errors import (
    ScopeError,
)
from tests.access.tenants import call, prefix_counts, scope


class TestMasked:
    """What a mask covers cannot be read, and cannot be asked for piece by piece."""

    def test_what_is_shown(self, store: Store) -> None:
        """A number's beginning is, in its canonical form; a name is not."""
        named = cdrkit.open_store("memory://masked-shown", region="GB")
        texts = [
            "+44 20 7946 0018",
            "020 7946 0018",
            "2041",
            "204",
            "anonymous",
            "",
            "sip:+442079460018@a",
            None,
        ]
        named.append(
            call(
                number,
                source=text,
                source_name="+442079460018",
                recording="out-02079460018.wav",
                extra={"a": text},
            )
            for number, text in enumerate(texts)
        )
        found = list(scope(named, mask=["source"]).run())
        assert [record.source for record in found] == [
            "+44207946****", "+44207946****", "****", "****", "****", "****", "****", None,
        ]  # fmt: skip
        assert {record.source_name for record in found} == {"****"}
        assert {record.recording for record in found} == {"****"}
        assert {record.extra for record in found} == {None}
        assert [record.source for record in scope(named, mask={"source": 7}).run()][:1] == ["+44207*******"]

    @pytest.mark.parametrize(
        "query",
        [
            Query().where(field("source") == "+442079460003"),
            Query().where(field("source") != "+442079460003"),
            Query().where(field("source") > "+442079460003"),
            Query().where(field("source").is_in(["+442079460003"])),
            Query().where(field("source").contains("0003")),
            Query().where(field("source").starts_with("+4420794600")),
            Query().where(field("source").ends_with("3")),
            Query().where(~field("source").ends_with("3")),
            Query().where((field("duration") > 0) | field("source").ends_with("3")),
            Query().number("+442079460003"),
            Query().number("+442079460003", role="source"),
            Query().number("*0003"),
            Query().number("*00*"),
            Query().number("0003", match="suffix"),
            Query().number("0003", match="contains"),
            Query().number(["+4420*", "+442079460003"]),
            Query().cli("+442079460004"),
            Query().order_by("source"),
            Query().order_by("duration", "-source"),
            Query().where(field("source_name") == "a"),
            Query().where(field("recording").contains("call-3")),
            Query().order_by("recording"),
        ],
        ids=repr,
    )
    def test_past_the_mask(self, store: Store, query: Query) -> None:
        """Every question that more than the visible beginning would answer is refused."""
        scoped = scope(store, mask=["source"])
        for ask in (scoped.run, scoped.count, scoped.daily_totals):
            with pytest.raises(ScopeError, match="is masked"):
                ask(query)

    def test_prefixes(self, store: Store) -> None:
        """A prefix is compared with what is visible: each further digit finds all or nothing, never some."""
        scoped = scope(store, mask=["source"])
        assert prefix_counts(scoped, "+442079460003") == [10] * 8 + [0] * 4
        assert scoped.count(Query().number("020 7946*")) == 10
        assert scoped.count(Query().where(~Query().number("+44207946*", role="source").conditions[0])) == 0

    def test_either_role(self, store: Store) -> None:
        """Where one of two fields is masked, a prefix is looked for in both, in each as far as it is seen."""
        scoped = scope(store, mask=["source"])
        assert scoped.count(Query().number("+1212555010*")) == 10
        assert scoped.count(Query().number("+12125550100", role="destination")) == 10
        assert scoped.count(Query().number("+4420794600*")) == 0

    def test_presence(self, store: Store) -> None:
        """Whether a masked field is there may be asked."""
        assert scope(store, mask=["source"]).count(Query().has_recording()) == 10

    def test_every_exit(self, store: Store) -> None:
        """No exit shows a covered digit, in the order of time or another."""
        scoped = scope(store, mask=["source", "destination"], hide=["call_id"][:0])
        for query in (Query(), Query().newest_first(), Query().order_by("-duration"), Query().limit(3)):
            result = scoped.run(query)
            shown = [
                b"".join(result.iter_csv()).decode(),
                str(result.to_arrow().to_pylist()),
                str(result.to_polars().to_dicts()),
                str(result.to_pandas().to_dict()),
                str(result.to_text().to_dicts()),
                str(list(result)),
                str(result.page(5)),
                str(result.page(5).rows()),
                str([batch.to_pylist() for batch in result.batches()]),
            ]
            assert not [text for text in shown if "79460" in text or "5550100" in text]
