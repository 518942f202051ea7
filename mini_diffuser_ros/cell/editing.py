"""Writing what was measured into a cell file: some values change, everything else stays, comments included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from mini_diffuser_ros.cell.calibrations import camera_digest, intrinsics_digest, table_digest
from mini_diffuser_ros.cell.cell import CameraIntrinsics, Cell, CellCamera
from mini_diffuser_ros.cell.checking import cell_from_text
from mini_diffuser_ros.cell.fault import CellError
from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import read_text, to_mapping


def record_camera_pose(
    path: Path, name: str, parent_from_camera: ArrayLike, parent: str = "", when: datetime | None = None
) -> Cell:
    """Write the measured pose of a camera into a cell file, with the date and the digest of what it belongs to.

    Args:
        path: of the file, which appears whole or stays as it was.
        name: of the camera, which is added if the file has none of that name.
        parent_from_camera: (4, 4) pose of the camera's frame, metres.
        parent: frame of the pose; empty: that of the file.
        when: of the measurement; by default now.

    Returns:
        the cell as it stands in the file now.

    Raises:
        CellError: the file is written in a way that cannot be changed here.
        SettingsError: it is no cell file.
    """
    text = read_text(path)
    return _write(path, with_camera_pose(text, str(path), name, parent_from_camera, parent, when))


def with_camera_pose(
    text: str, source: str, name: str, parent_from_camera: ArrayLike, parent: str = "", when: datetime | None = None
) -> str:
    """The text of a cell file with the measured pose of a camera in it; see :func:`record_camera_pose`."""
    cell = cell_from_text(text, source)
    camera = cell.cameras.get(name, CellCamera())
    matrix = np.asarray(parent_from_camera, dtype=np.float64)
    values: dict[str, Any] = {"parent": parent} if parent else {}
    values["translation"] = _rounded(matrix[:3, 3])
    if camera.rotation is None:
        values["quaternion"] = _rounded(quaternion_from_matrix(matrix[:3, :3]))
    else:
        values["rotation"] = [_rounded(row) for row in matrix[:3, :3]]
    place = ("cameras", name)
    if name in cell.cameras:
        text = _with_values(text, place, values, source)
    else:
        text = _with_values(text, ("cameras",), {name: values}, source)
    digest = camera_digest(cell_from_text(text, source), name)
    return _with_values(text, place, {"calibrated": _calibrated(when, digest)}, source)


def record_camera_intrinsics(path: Path, name: str, intrinsics: CameraIntrinsics, when: datetime | None = None) -> Cell:
    """Write the measured lens of a camera of the file into it; the rest is as in :func:`record_camera_pose`."""
    text = read_text(path)
    camera = _camera(text, str(path), name)
    values = to_mapping(intrinsics)
    values["calibrated"] = _calibrated(when, intrinsics_digest(camera.serial, intrinsics))
    if not intrinsics.distortion.coefficients and not intrinsics.distortion.bends:
        del values["distortion"]
    return _write(path, _with_values(text, ("cameras", name), {"intrinsics": values}, str(path)))


def record_table_height(path: Path, height: float, when: datetime | None = None) -> Cell:
    """Write the measured height of the table, metres; the rest is as in :func:`record_camera_pose`."""
    text = read_text(path)
    values = {"height": round(float(height), 5)}
    if "table" not in (yaml.safe_load(text) or {}):
        text = _with_values(text, (), {"table": values}, str(path))
    text = _with_values(text, ("table",), values, str(path))
    digest = table_digest(cell_from_text(text, str(path)))
    return _write(path, _with_values(text, ("table",), {"calibrated": _calibrated(when, digest)}, str(path)))


def _camera(text: str, source: str, name: str) -> CellCamera:
    cell = cell_from_text(text, source)
    if name not in cell.cameras:
        raise CellError(f"cell {source} has no camera '{name}'; it has {', '.join(cell.cameras)}")
    return cell.cameras[name]


def _calibrated(when: datetime | None, digest: str) -> dict[str, str]:
    moment = (when or datetime.now(timezone.utc)).astimezone(timezone.utc)
    return {"date": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "digest": digest}


def _rounded(values: ArrayLike) -> list[float]:
    return [round(float(value), 6) + 0.0 for value in np.asarray(values)]


def _write(path: Path, text: str) -> Cell:
    cell = cell_from_text(text, str(path))
    write_whole(path, text)
    return cell


def _with_values(text: str, place: Sequence[str], values: Mapping[str, Any], source: str) -> str:
    """The text of a YAML file with values of the mapping at ``place`` set.

    Raises:
        CellError: what comes out would not say exactly that, as with anchors that are used elsewhere.
    """
    mapping = _mapping_at(yaml.compose(text, Loader=yaml.SafeLoader), place)
    changed = text if mapping is None else _edited(text, mapping, values)
    try:
        said = yaml.safe_load(changed)
    except yaml.YAMLError:
        said = None
    if said != _set(yaml.safe_load(text), place, values):
        shown = ", ".join(f"{key}: {_flow(value)}" for key, value in values.items())
        dotted = ".".join(place) or "the file"
        raise CellError(f"cell {source}: {dotted} cannot be changed as it is written; write there by hand {shown}")
    return changed


def _set(content: Any, place: Sequence[str], values: Mapping[str, Any]) -> Any:
    """What a file holds, with values of one mapping in it set; what an anchor shares stays as it is elsewhere."""
    if place:
        return {**content, place[0]: _set(content[place[0]], place[1:], values)}
    return {**(content or {}), **values}


def _edited(text: str, mapping: yaml.MappingNode, values: Mapping[str, Any]) -> str:
    present = {key.value: (key, value) for key, value in mapping.value}
    spans = []
    for name in values.keys() & present.keys():
        key, value = present[name]
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        # A block begins on a line of its own, at a column where no other value might.
        start, colon = (key.end_mark.index, ": ") if block else (value.start_mark.index, "")
        spans.append((start, _end(value, text), colon + _flow(values[name])))
    lines = [f"{key}: {_flow(value)}" for key, value in values.items() if key not in present]
    if lines and mapping.flow_style:
        end = mapping.end_mark.index - 1
        spans.append((end, end, (", " if present else "") + ", ".join(lines)))
    elif lines:
        last_key, last_value = mapping.value[-1]
        end = text.find("\n", _end(last_value, text))
        end = len(text) if end < 0 else end
        spans.append((end, end, "".join(f"\n{' ' * last_key.start_mark.column}{line}" for line in lines)))
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _mapping_at(node: yaml.Node | None, place: Sequence[str]) -> yaml.MappingNode | None:
    """The mapping at a place; None where something else stands there."""
    for name in place:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == name), None)
    return node if isinstance(node, yaml.MappingNode) else None


def _end(node: yaml.Node, text: str) -> int:
    """Where the text of a value ends; the end mark of a block lies at what follows it, after comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    return int(node.end_mark.index)


def _flow(value: Any) -> str:
    """A value on one line."""
    text = str(yaml.safe_dump([value], default_flow_style=True, width=float("inf"), sort_keys=False))
    return text.strip()[1:-1]
