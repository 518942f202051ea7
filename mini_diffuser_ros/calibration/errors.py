"""What can be wrong with a set of measurements that a calibration is to be made of."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class CalibrationError(UserError, ValueError):
    """A set is refused; one line with what was measured, what is needed and what to do."""
