"""libusb for wheels that expect it on the system: those of pyrealsense2 and of Open3D."""

from __future__ import annotations

import ctypes


def provide_libusb() -> None:
    """Load the libusb that pip has installed, if it has; the system's does otherwise, where there is one."""
    try:
        import libusb_package
    except ImportError:
        return
    library = libusb_package.get_library_path()
    if library is not None:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
