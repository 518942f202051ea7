"""The topic of perception's clouds, and which of them are not believed by their stamps."""

from __future__ import annotations

from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError

CLOUD_TOPIC = "mini_diffuser/cloud"
MAX_LEAD = 0.25  # seconds that a cloud may be stamped in the future; by its stamp it is known to be new


def check_lead(lead: float) -> None:
    """Refuse a cloud that is stamped too many seconds in the future.

    Raises:
        MalformedMessageError: it seems to show what is yet to come.
    """
    if lead > MAX_LEAD:
        raise MalformedMessageError(
            f"a cloud is stamped {lead:.2f} s in the future, allowed are {MAX_LEAD} s: synchronise the machines' clocks"
        )
