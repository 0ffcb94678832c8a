"""The append transaction: select a base version, create a missing store, commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdrkit.errors import ConfigError
from cdrkit.storage.append.changes import SegmentChanges
from cdrkit.storage.log import Commit, Log, Snapshot
from cdrkit.storage.tiers import Tier, check_not_vacuumed

__all__ = ["Transaction"]


class Transaction:
    """An attempt to commit changes on top of one version of the log.

    Args:
        log: The store's log.
        tiers: The store's tiers by name.
        settings: The settings of the store, used if it must be created.

    Attributes:
        base: The version that the changes apply to.
    """

    def __init__(self, log: Log, tiers: Mapping[str, Tier], settings: Mapping[str, Any]) -> None:
        self._log = log
        self._tiers = tiers
        self._settings = settings
        self._attempt: Commit | None = None
        self.base: Snapshot = log.snapshot()

    def newest(self) -> Snapshot:
        """Return the newest version of the store."""
        return self._log.snapshot()

    def create_store(self) -> None:
        """Create the store unless it exists; call this before writing any segment.

        A segment must not be older than the log, or it would be mistaken for a leftover of another log.

        Raises:
            ConfigError: When another writer has just created the store with another region.
        """
        if self.base.version >= 0:
            return
        created = self._log.create(self._settings)
        wanted = self._settings["region"]
        if wanted is not None and created.region != wanted:
            made = "without a region" if created.region is None else f"with region={created.region!r}"
            raise ConfigError(
                f"Another writer has already created the store, {made}. Open it without region={wanted!r}."
            )
        self.base = created

    def commit(self, changes: SegmentChanges, facts: Mapping[str, Any]) -> Snapshot | None:
        """Commit *changes*; return None if another writer committed first.

        Otherwise, return the new version.

        Args:
            changes: The segments to add and remove.
            facts: More information for the log to keep with the commit.

        Raises:
            StorageError: When the commit could not be written, or segments are so old that a vacuum may delete them.
        """
        check_not_vacuumed(self._tiers, changes.added)
        self._attempt = self._log.draft(
            self.base,
            "replace" if changes.removed else "append",
            added=changes.added,
            removed=changes.removed,
            facts=facts,
        )
        after = self._log.write(self.base, self._attempt)
        if after is None:
            self._attempt = None
        return after

    def finish(self, after: Snapshot) -> None:
        """Write a checkpoint of the committed version if a checkpoint is due."""
        self._log.checkpoint_if_due(after)

    def make_base_durable(self) -> None:
        """Ensure that the base version survives a crash of the machine.

        An append without new rows relies on the calls in that version.

        Raises:
            StorageError: When the version cannot be made durable.
        """
        self._log.make_durable(self.base)

    @property
    def may_have_committed(self) -> bool:
        """Whether a commit may have been written, even if the attempt raised an error."""
        return self._attempt is not None and not self._log.is_refused(self._attempt)
