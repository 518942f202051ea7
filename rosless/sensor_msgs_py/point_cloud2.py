"""sensor_msgs/PointCloud2 to numpy arrays and back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

DTYPES: dict[int, np.dtype[Any]] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}
DUMMY_FIELD_PREFIX = "unnamed_field"


def dtype_from_fields(fields: Iterable[Any], point_step: int | None = None) -> np.dtype[Any]:
    """The structured dtype of points with these fields."""
    names, offsets, formats = [], [], []
    for index, field in enumerate(fields):
        name = field.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        for part in range(field.count):
            names.append(name if field.count == 1 else f"{name}_{part}")
            offsets.append(field.offset + part * DTYPES[field.datatype].itemsize)
            formats.append(DTYPES[field.datatype])
    layout: Any = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def read_points(
    cloud: Any,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Any = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """The points as a structured array (N,), or (H, W) of an organized cloud if wanted.

    Args:
        field_names: the fields to read, None for all.
        skip_nans: leave out points with a NaN in one of the fields.
        uvs: indices (u, v), or positions, of the points to read.

    Raises:
        ValueError: a field is missing, or the data do not fit the layout.
    """
    count = cloud.width * cloud.height
    if len(cloud.data) < count * cloud.point_step:
        raise ValueError(
            f"a cloud of {count} points of {cloud.point_step} bytes does not fit its {len(cloud.data)} bytes"
        )
    points = np.frombuffer(cloud.data, dtype_from_fields(cloud.fields, cloud.point_step), count)
    if bool(sys.byteorder != "little") != bool(cloud.is_bigendian):
        points = points.byteswap()
    if field_names is not None:
        missing = [name for name in field_names if name not in (points.dtype.names or ())]
        if missing:
            raise ValueError(
                f"Requested field(s) {', '.join(missing)} are not in the fields of the cloud "
                f"({', '.join(points.dtype.names or ())})"
            )
        points = points[list(field_names)]
    if uvs is not None:
        uvs = np.asarray(list(uvs))
        points = points[uvs[:, 1] * cloud.width + uvs[:, 0] if uvs.ndim == 2 else uvs]
    if skip_nans:
        finite = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            finite &= ~np.isnan(points[name])
        points = points[finite]
    if reshape_organized_cloud and cloud.height > 1:
        if skip_nans or uvs is not None:
            raise ValueError("an organized cloud keeps its shape only without skip_nans and uvs")
        points = points.reshape(cloud.height, cloud.width)
    return points


def read_points_numpy(
    cloud: Any,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Any = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """The points as a plain array (N, fields); all fields must have the same type.

    Raises:
        ValueError: the types differ.
    """
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    kinds = {points.dtype[name] for name in points.dtype.names or ()}
    if len(kinds) != 1:
        raise ValueError("All fields need to have the same datatype. Use `read_points()` otherwise.")
    return np.stack([points[name] for name in points.dtype.names or ()], axis=-1)


def read_points_list(
    cloud: Any, field_names: Sequence[str] | None = None, skip_nans: bool = False, uvs: Any = None
) -> list[Any]:
    """The points as a list of named tuples."""
    from collections import namedtuple

    points = read_points(cloud, field_names, skip_nans, uvs)
    point = namedtuple("Point", points.dtype.names or ())  # type: ignore[misc]
    return [point(*row) for row in points.tolist()]


def create_cloud(
    header: Any, fields: Sequence[Any], points: Any, step: int | None = None, point_step: int | None = None
) -> Any:
    """A cloud of points: a structured array, or rows of values in the order of the fields."""
    step = step if step is not None else point_step
    dtype = dtype_from_fields(fields, step)
    if isinstance(points, np.ndarray) and points.dtype.names:
        if points.dtype != dtype:
            raise ValueError(
                "PointFields and structured NumPy array dtype do not match for all fields! Check their "
                "field order, names and types."
            )
        values = np.ascontiguousarray(points)
    else:
        plain = np.asarray(points)
        names = dtype.names or ()
        if plain.shape[-1] != len(names):
            raise ValueError(f"The points have {plain.shape[-1]} values, but the fields are {', '.join(names)}")
        values = np.zeros(plain.shape[:-1], dtype)
        for index, name in enumerate(names):
            values[name] = plain[..., index]
    if values.ndim > 2:
        raise ValueError(
            f"Too many dimensions for organized cloud! Points can only be organized in max. two "
            f"dimensions, not {values.ndim}"
        )
    height, width = values.shape if values.ndim == 2 else (1, values.shape[0])
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        is_bigendian=sys.byteorder != "little",
        is_dense=False,
        fields=list(fields),
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
    )
    message.data = np.frombuffer(values.tobytes(), np.uint8)
    return message


def create_cloud_xyz32(header: Any, points: Any) -> Any:
    """A cloud of float32 x, y, z from rows (N, 3)."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, np.asarray(points, np.float32).reshape(-1, 3))


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("sensor_msgs_py.point_cloud2", name)
