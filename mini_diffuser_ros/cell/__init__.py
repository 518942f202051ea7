"""The cell: robot, cameras, table, workspace, boxes, speeds and gripper of one lab, in one file that every part reads.

``config/cells/example.yaml`` is such a file and docs/cell.md explains it. :func:`read_cell` gives the record of a file
in which everything fits together, :func:`check_cell` names all that does not.
"""

from mini_diffuser_ros.cell.calibrations import camera_digest, cell_digest, table_digest
from mini_diffuser_ros.cell.cell import (
    DRIVEN,
    CameraIntrinsics,
    Cell,
    CellCalibration,
    CellCamera,
    CellGripper,
    CellSpeeds,
    CellTable,
)
from mini_diffuser_ros.cell.checking import check_cell, faults_of, parse_cell, read_cell
from mini_diffuser_ros.cell.drivers import driver_actions
from mini_diffuser_ros.cell.editing import record_camera_intrinsics, record_camera_pose, record_table_height
from mini_diffuser_ros.cell.fault import CellError, CellFault
from mini_diffuser_ros.cell.fitting import CAMERA_NAME, NAMESPACE, NAMESPACE_FORM

__all__ = [
    "CAMERA_NAME",
    "DRIVEN",
    "NAMESPACE",
    "NAMESPACE_FORM",
    "CameraIntrinsics",
    "Cell",
    "CellCalibration",
    "CellCamera",
    "CellError",
    "CellFault",
    "CellGripper",
    "CellSpeeds",
    "CellTable",
    "camera_digest",
    "cell_digest",
    "check_cell",
    "driver_actions",
    "faults_of",
    "parse_cell",
    "read_cell",
    "record_camera_intrinsics",
    "record_camera_pose",
    "record_table_height",
    "table_digest",
]
