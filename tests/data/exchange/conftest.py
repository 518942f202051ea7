"""LeRobot's files are tested where the extra that reads them is installed."""

from importlib.util import find_spec

collect_ignore = (
    [] if find_spec("pyarrow") else ["test_lerobot_export.py", "test_lerobot_import.py", "test_lerobot_mapping.py"]
)
