"""A FreeSWITCH channel: its variables and caller profiles.

The channel may come from a document of any CDR module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from cdrkit.sources.readers.batch_builder import RowError

__all__ = ["Channel", "Document", "as_text", "callflows"]

#: A document of a channel: ``variables``, ``callflow`` and other parts, with decoded values.
Document: TypeAlias = Mapping[str, Any]


@attrs.frozen
class Channel:
    """The variables and caller profiles of a FreeSWITCH channel document.

    Attributes:
        document: The whole document.
        variables: The variables that have a value, as strings.
        newest: The newest caller profile; empty if no profile exists.
        oldest: The oldest caller profile; empty if no profile exists.
        originator: The profile of the leg for which this leg was created; empty if no such leg exists.
        has_local_times: Whether times are local timestamps without an offset, instead of instants.
    """

    document: Document
    variables: Mapping[str, str]
    newest: Mapping[str, Any]
    oldest: Mapping[str, Any]
    originator: Mapping[str, Any]
    has_local_times: bool

    @classmethod
    def parse(cls, document: Document, *, has_local_times: bool) -> Channel:
        """Return the channel that a document describes.

        Raises:
            RowError: When the document has no variables.
        """
        variables = document.get("variables")
        if not isinstance(variables, dict):
            raise RowError("The document has no variables, so it is not a FreeSWITCH channel document.")
        texts: dict[str, str] = {
            name: text
            for name, value in variables.items()
            if value and (text := value if type(value) is str else as_text(value))
        }
        profiles = _caller_profiles(document)
        newest, oldest = (profiles[0], profiles[-1]) if profiles else ({}, {})
        originator = _originator_profile(newest) or _originator_profile(oldest)
        return cls(document, texts, newest, oldest, originator, has_local_times)

    @property
    def is_outbound(self) -> bool:
        """Return whether FreeSWITCH originated this leg."""
        return self.variables.get("direction") == "outbound"


def as_text(value: Any) -> str | None:
    """Convert a number to a string; keep a non-empty string; otherwise return None."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value) or None
    return None


def callflows(document: Document) -> list[Any]:
    """Return the call flows of a document, always as a list."""
    flow = document.get("callflow")
    return flow if isinstance(flow, list) else [flow]


def _caller_profiles(document: Document) -> list[dict[str, Any]]:
    """Return the caller profiles, newest first."""
    profiles = [flow.get("caller_profile") for flow in callflows(document) if isinstance(flow, Mapping)]
    return [profile for profile in profiles if isinstance(profile, dict)]


def _originator_profile(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    originator = profile.get("originator")
    profiles = originator.get("originator_caller_profiles") if isinstance(originator, Mapping) else None
    while isinstance(profiles, list):
        profiles = profiles[0] if profiles else None
    return profiles if isinstance(profiles, Mapping) else {}
