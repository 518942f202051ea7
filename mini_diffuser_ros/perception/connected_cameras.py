"""Which RealSense cameras are plugged in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mini_diffuser_ros.perception.realsense import RealSenseError, load_sdk


@dataclass(frozen=True)
class ConnectedCamera:
    """A device as the SDK describes it; what it does not say is empty.

    Attributes:
        serial: number on its label.
        name: of its model.
        firmware: version.
        usb: speed of the port and cable that it has found, e.g. ``3.2``.
    """

    serial: str
    name: str
    firmware: str
    usb: str

    @property
    def is_slow(self) -> bool:
        """Whether it hangs on USB 2, which carries no colour and depth at full size and rate."""
        return self.usb.startswith("2")


def connected_cameras(devices: Iterable[Any] | None = None) -> list[ConnectedCamera]:
    """What devices of the SDK say of themselves, in the order of their serial numbers.

    Args:
        devices: of pyrealsense2; None for those at this machine's ports.

    Raises:
        RealSenseError: if the SDK is missing or cannot list them.
    """
    sdk = load_sdk()
    try:
        listed = sdk.context().query_devices() if devices is None else devices
        found = [ConnectedCamera(*(_info(sdk, device, key) for key in KEYS)) for device in listed]
    except RuntimeError as error:
        raise RealSenseError(f"the RealSense cameras cannot be listed: {error}") from error
    return sorted(found, key=lambda camera: camera.serial)


KEYS = ("serial_number", "name", "firmware_version", "usb_type_descriptor")


def _info(sdk: Any, device: Any, key: str) -> str:
    which = getattr(sdk.camera_info, key)
    return str(device.get_info(which)) if device.supports(which) else ""
