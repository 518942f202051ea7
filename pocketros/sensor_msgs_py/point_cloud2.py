"""sensor_msgs/PointCloud2 to numpy arrays and back."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pocketros.errors import left_out
from sensor_msgs.msg import PointCloud2, PointField

KINDS = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "FLOAT32", "FLOAT64")
DTYPES = {getattr(PointField, kind): np.dtype(kind.lower()) for kind in KINDS}
BIG_ENDIAN = sys.byteorder != "little"


def dtype_from_fields(fields: Iterable[Any], point_step: int | None = None) -> np.dtype[Any]:
    """The structured dtype of points with these fields."""
    layout: dict[str, Any] = {"names": [], "formats": [], "offsets": []}
    for index, field in enumerate(fields):
        name = field.name or f"unnamed_field_{index}"
        for part in range(field.count):
            layout["names"].append(name if field.count == 1 else f"{name}_{part}")
            layout["offsets"].append(field.offset + part * DTYPES[field.datatype].itemsize)
            layout["formats"].append(DTYPES[field.datatype])
    return np.dtype({**layout, **({} if point_step is None else {"itemsize": point_step})})  # type: ignore[call-overload]


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
    points = points.byteswap() if bool(cloud.is_bigendian) != BIG_ENDIAN else points
    known = points.dtype.names or ()
    if missing := [name for name in field_names or () if name not in known]:
        raise ValueError(f"field(s) {', '.join(missing)} are not in the fields of the cloud ({', '.join(known)})")
    points = points if field_names is None else points[list(field_names)]
    if uvs is not None:
        uvs = np.asarray(list(uvs))
        points = points[uvs[:, 1] * cloud.width + uvs[:, 0] if uvs.ndim == 2 else uvs]
    if skip_nans:
        points = points[~np.any([np.isnan(points[name]) for name in points.dtype.names or ()], axis=0)]
    if reshape_organized_cloud and cloud.height > 1:
        if skip_nans or uvs is not None:
            raise ValueError("an organized cloud keeps its shape only without skip_nans and uvs")
        points = points.reshape(cloud.height, cloud.width)
    return points


def read_points_numpy(
    cloud: Any, field_names: Sequence[str] | None = None, *details: Any, **options: Any
) -> np.ndarray:
    """The points as a plain array (N, fields), with the options of `read_points`.

    Raises:
        ValueError: the fields have different types.
    """
    points = read_points(cloud, field_names, *details, **options)
    names = points.dtype.names or ()
    if len({points.dtype[name] for name in names}) != 1:
        raise ValueError("All fields need to have the same datatype. Use `read_points()` otherwise.")
    return np.stack([points[name] for name in names], axis=-1)


def read_points_list(cloud: Any, field_names: Sequence[str] | None = None, *details: Any, **options: Any) -> list[Any]:
    """The points as a list of named tuples, with the options of `read_points`."""
    points = read_points(cloud, field_names, *details, **options)
    point = namedtuple("Point", points.dtype.names or ())  # type: ignore[misc]
    return [point(*row) for row in points.tolist()]


def create_cloud(
    header: Any, fields: Sequence[Any], points: Any, step: int | None = None, point_step: int | None = None
) -> Any:
    """A cloud of points: a structured array, or rows of values in the order of the fields."""
    dtype = dtype_from_fields(fields, point_step if step is None else step)
    given = np.asarray(points)
    names = dtype.names or ()
    if given.dtype.names and given.dtype != dtype:
        raise ValueError("PointFields and structured NumPy array dtype do not match for all fields!")
    if not given.dtype.names:
        if given.shape[-1] != len(names):
            raise ValueError(f"The points have {given.shape[-1]} values, but the fields are {', '.join(names)}")
        values = np.zeros(given.shape[:-1], dtype)
        for index, name in enumerate(names):
            values[name] = given[..., index]
        given = values
    if given.ndim > 2:
        raise ValueError(f"Too many dimensions for organized cloud: at most two, not {given.ndim}")
    height, width = given.shape if given.ndim == 2 else (1, given.shape[0])
    message = PointCloud2(header=header, height=height, width=width, fields=list(fields), is_bigendian=BIG_ENDIAN)
    message.point_step, message.row_step = dtype.itemsize, dtype.itemsize * width
    message.data = given.tobytes()
    return message


def create_cloud_xyz32(header: Any, points: Any) -> Any:
    """A cloud of float32 x, y, z from rows (N, 3)."""
    fields = [PointField(name=name, offset=4 * index, datatype=7, count=1) for index, name in enumerate("xyz")]
    return create_cloud(header, fields, np.asarray(points, np.float32).reshape(-1, 3))


__getattr__ = left_out(__name__)
