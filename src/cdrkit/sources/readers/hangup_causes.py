"""The dispositions that hangup causes of FreeSWITCH and Telnyx mean."""

from __future__ import annotations

from typing import Final

__all__ = ["CAUSES"]

#: What an unanswered call's hangup cause says of it; all others say that it failed.
CAUSES: Final = {
    "USER_BUSY": "busy",
    "BUSY_EVERYWHERE": "busy",
    "NO_ANSWER": "no_answer",
    "NO_USER_RESPONSE": "no_answer",
    "ALLOTTED_TIMEOUT": "no_answer",
    "PROGRESS_TIMEOUT": "no_answer",
    "NO_PICKUP": "no_answer",
    "ORIGINATOR_CANCEL": "cancelled",
    "LOSE_RACE": "cancelled",
    "PICKED_OFF": "cancelled",
    "CALL_REJECTED": "rejected",
    "DECLINE": "rejected",
    "REJECT_ALL": "rejected",
    "UNWANTED": "rejected",
    # Nobody answered, and the cause does not say who gave up.
    "NONE": "unknown",
    "NORMAL_CLEARING": "unknown",
    "NORMAL_UNSPECIFIED": "unknown",
    "BLIND_TRANSFER": "unknown",
    "ATTENDED_TRANSFER": "unknown",
}
