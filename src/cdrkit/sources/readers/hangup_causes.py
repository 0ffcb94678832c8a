"""The disposition for each hangup cause of FreeSWITCH and Telnyx."""

from __future__ import annotations

from typing import Final

__all__ = ["CAUSES"]

#: The disposition of an unanswered call, by its hangup cause. Any other cause means that the call failed.
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
    # The call was not answered, and the cause does not show which side ended it.
    "NONE": "unknown",
    "NORMAL_CLEARING": "unknown",
    "NORMAL_UNSPECIFIED": "unknown",
    "BLIND_TRANSFER": "unknown",
    "ATTENDED_TRANSFER": "unknown",
}
