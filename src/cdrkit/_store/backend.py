"""The backend that a store and its scopes share: log, tiers and recordings."""

from __future__ import annotations

import attrs

from cdrkit._files import Files
from cdrkit._recordings import Locator
from cdrkit.storage.log import Log
from cdrkit.storage.tiers import Tier, Tiers

__all__ = ["Backend"]


@attrs.frozen(kw_only=True)
class Backend:
    """The parts that a `Store` shares with its scoped stores.

    Attributes:
        name: The folder or URL that the store was opened with, for messages.
        log: The log of commits.
        hot: The tier that new calls go to.
        warm: The tier that whole months move to.
        warm_files: The files of a Parquet warm tier, which can be downloaded unchanged; None for another kind of tier.
        region: The region that the store was opened with, or None.
        locator: The locator of recordings.
    """

    name: str
    log: Log
    hot: Tier
    warm: Tier
    warm_files: Files | None
    region: str | None
    locator: Locator

    @property
    def tiers(self) -> Tiers:
        """The hot tier and the warm tier, by name."""
        return Tiers({self.hot.name: self.hot, self.warm.name: self.warm})
