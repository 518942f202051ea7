"""Pictures of a cloud with grippers drawn into it, for run folders, data sets and documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mini_diffuser_ros.geometry import matrix_from_pose, transform_points
from mini_diffuser_ros.records import Cloud, KeyframeMode

Color = tuple[int, int, int]

FIRST_COLOR: Color = (220, 30, 60)
"""Colour of the candidate that is most probable."""
OTHER_COLORS: tuple[Color, ...] = ((245, 140, 20), (120, 80, 200), (20, 140, 140), (130, 130, 130))
"""Colours of the candidates after it; the last one repeats."""

_BACKGROUND: Color = (240, 242, 245)
_GRID: Color = (214, 217, 222)
_INK: Color = (60, 60, 60)
_FAR = 1000.0  # metres, of which nobody wants the millimetres
_FARTHEST = 10.0  # metres from the origin; what is said to be farther would shrink the rest to a dot
_NORMS = 1e-6, 1e6  # of a quaternion that still says where something points
_SUPERSAMPLING = 2  # Lines and points are drawn twice as large and scaled down, which smooths their edges.
_FINGER = 0.045  # metres from the palm of the glyph to the finger tips
_STEM = 0.05  # metres of the handle above the palm
_OPEN_HALF_WIDTH = 0.04
_CLOSED_HALF_WIDTH = 0.012


@dataclass(frozen=True, eq=False)
class GripperGlyph:
    """A gripper to draw.

    Attributes:
        pose: (7,) xyz + quaternion xyzw of the tool centre point, in the frame of the cloud.
        gripper_open: draws the fingers apart.
        label: text beside it; may be empty.
        color: RGB.
    """

    pose: NDArray[np.floating]
    gripper_open: bool
    label: str = ""
    color: Color = FIRST_COLOR


@dataclass(frozen=True, eq=False)
class Wireframe:
    """Edges to draw.

    Attributes:
        edges: (N, 2, 3) metres, both ends of each, in the frame of the cloud.
        color: RGB.
        label: text at the first end; may be empty.
        width: pixels.
    """

    edges: NDArray[np.floating]
    color: Color
    label: str = ""
    width: int = 1


def shown_metres(value: float) -> str:
    """A coordinate to the millimetre; one that cannot be, which has up to 300 digits, in few."""
    return f"{value:.3f}" if abs(value) < _FAR else f"{value:.4g}"


def glyphs_of_modes(modes: Sequence[KeyframeMode]) -> tuple[GripperGlyph, ...]:
    """Glyphs of a policy's candidates, labelled with rank, share and whether they end the task."""
    colors = (FIRST_COLOR, *OTHER_COLORS)
    return tuple(
        GripperGlyph(
            mode.pose,
            mode.gripper_open,
            f"{rank + 1}: {100.0 * mode.share:.0f} %" + (" ends" if mode.terminate else ""),
            colors[min(rank, len(colors) - 1)],
        )
        for rank, mode in enumerate(modes)
    )


def draw_cloud(
    cloud: Cloud,
    grippers: Sequence[GripperGlyph] = (),
    title: str = "",
    size: tuple[int, int] = (1280, 640),
    wireframes: Sequence[Wireframe] = (),
) -> Image.Image:
    """Draw a cloud from obliquely above and from straight above, side by side, with grippers and edges in it.

    Args:
        cloud: in a frame whose z axis points up.
        grippers: drawn over the points, the first one last, so that it is never hidden.
        title: one line above the picture.
        size: width and height, pixels.
        wireframes: drawn over the points, beneath the grippers.

    Returns:
        an RGB image; save it with ``image.save("cloud.png")``. What has no place to be drawn at is told in the title.
    """
    cloud, grippers, wireframes, left_out = drawable(cloud, grippers, wireframes)
    title = f"{title} ({left_out})" if left_out else title
    width, height = size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING
    image = Image.new("RGB", (width, height), _BACKGROUND)
    low, high = bounds_of(cloud, grippers, wireframes)
    header = 30 * _SUPERSAMPLING if title else 0
    for column, (name, rotation) in enumerate((("oblique", _oblique()), ("from above", _top()))):
        area = (column * width // 2, header, (column + 1) * width // 2, height)
        view = _View(rotation, low, high, area)
        _draw_panel(image, view, cloud, (grippers, wireframes), (low, high), name)
    draw = ImageDraw.Draw(image)
    if title:
        draw.text((12 * _SUPERSAMPLING, 7 * _SUPERSAMPLING), title, fill=_INK, font=_font(16))
    draw.line([(width // 2, header), (width // 2, height)], fill=_GRID, width=_SUPERSAMPLING)
    return image.resize(size, Image.Resampling.BOX)


class _View:
    """An orthographic view that fits a box into an area of the picture.

    Args:
        rotation: (3, 3) rows: image right, image down, away from the viewer.
        low, high: (3,) corners of the box.
        area: left, top, right, bottom; pixels.
    """

    def __init__(
        self,
        rotation: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        area: tuple[int, int, int, int],
    ) -> None:
        self.rotation = rotation
        self.area = area
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        flat = corners @ rotation[:2].T
        left, top, right, bottom = area
        room = 0.88 * np.array([right - left, bottom - top])
        self.scale = float(np.min(room / (flat.max(axis=0) - flat.min(axis=0))))
        middle = np.array([left + right, top + bottom]) / 2.0
        self.offset = middle - self.scale * (flat.max(axis=0) + flat.min(axis=0)) / 2.0

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixel positions (N, 2) of points (N, 3)."""
        return points @ self.rotation[:2].T * self.scale + self.offset

    def distance(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distance (N,) of points (N, 3) from the viewer, up to a constant."""
        return points @ self.rotation[2]


def _oblique() -> NDArray[np.float64]:
    """From the front right of the robot, 35 degrees above the table, the robot behind."""
    azimuth, elevation = np.radians(-35.0), np.radians(35.0)
    towards_viewer = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    right = np.cross((0.0, 0.0, 1.0), towards_viewer)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, towards_viewer), -towards_viewer])


def _top() -> NDArray[np.float64]:
    """From above, seen from the far side of the table as in the oblique view: x towards the viewer, y to the right."""
    return np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def drawable(
    cloud: Cloud, grippers: Sequence[GripperGlyph], wireframes: Sequence[Wireframe]
) -> tuple[Cloud, tuple[GripperGlyph, ...], tuple[Wireframe, ...], str]:
    """What can be drawn: finite, and near enough to the origin; a picture is bounded, numbers in data are not.

    Returns:
        the same with what has no place left out, and in words what that is; empty if it is nothing.
    """
    seen = _near(cloud.points).all(axis=1)
    placed = tuple(gripper for gripper in grippers if _is_placed(gripper))
    wires = tuple(wire for wire in wireframes if _near(wire.edges).all())
    left_out = [f"gripper {gripper.label}".rstrip() for gripper in grippers if not _is_placed(gripper)]
    left_out += [f"edges {wire.label}".rstrip() for wire in wireframes if not _near(wire.edges).all()]
    if not seen.all():
        left_out.append(f"{np.count_nonzero(~seen)} points")
        cloud = Cloud(cloud.points[seen], cloud.colors[seen], cloud.frame, cloud.stamp)
    told = f"not drawn, as beyond {_FARTHEST:g} m or nowhere: {'; '.join(left_out)}" if left_out else ""
    return cloud, placed, wires, told


def _is_placed(gripper: GripperGlyph) -> bool:
    pose = np.asarray(gripper.pose, dtype=np.float64)
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(pose[3:]))
    return bool(_near(pose[:3]).all()) and _NORMS[0] < norm < _NORMS[1]


def _near(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(values) <= _FARTHEST)  # False where they are no numbers


def bounds_of(
    cloud: Cloud, grippers: Sequence[GripperGlyph] = (), wireframes: Sequence[Wireframe] = ()
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (3,) of a box around everything that is drawn, metres, resting on the table, with room for the glyphs."""
    reach: list[NDArray[np.floating]]
    reach = [gripper_edges(gripper.pose, True).reshape(-1, 3) for gripper in grippers]
    reach += [wire.edges.reshape(-1, 3) for wire in wireframes]
    everything = np.concatenate([cloud.points.astype(np.float64), *reach, np.zeros((0, 3))])
    if not len(everything):
        everything = np.array([[0.25, -0.38, 0.0], [0.80, 0.38, 0.3]])
    low, high = everything.min(axis=0) - 0.02, everything.max(axis=0) + 0.02
    low[2] = min(low[2], 0.0)
    return low, high


def _draw_panel(
    image: Image.Image,
    view: _View,
    cloud: Cloud,
    drawn: tuple[Sequence[GripperGlyph], Sequence[Wireframe]],
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]],
    name: str,
) -> None:
    draw = ImageDraw.Draw(image)
    grippers, wireframes = drawn
    _draw_grid(draw, view, *bounds)
    _draw_points(image, view, cloud)
    for wire in wireframes:
        _draw_wireframe(draw, view, wire)
    for gripper in reversed(grippers):
        _draw_gripper(draw, view, gripper)
    points = f", {len(cloud)} points" if len(cloud) else ""
    caption = f"{name}, grid 0.1 m{points}, {cloud.frame}"
    margin = 12 * _SUPERSAMPLING
    draw.text((view.area[0] + margin, view.area[3] - 2 * margin), caption, fill=(140, 140, 140), font=_font(11))


def _draw_grid(draw: ImageDraw.ImageDraw, view: _View, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Lines every 0.1 m on the plane z = 0."""
    for axis in (0, 1):
        other = 1 - axis
        for position in np.arange(np.ceil(low[axis] * 10.0), np.floor(high[axis] * 10.0) + 1.0) / 10.0:
            ends = np.zeros((2, 3))
            ends[:, axis] = position
            ends[:, other] = low[other], high[other]
            draw.line([tuple(p) for p in view.pixels(ends)], fill=_GRID, width=_SUPERSAMPLING)


def _draw_points(image: Image.Image, view: _View, cloud: Cloud) -> None:
    """Paint the points as small discs, the farther ones first and a little paler."""
    if not len(cloud):
        return
    radius = max(_SUPERSAMPLING, round(view.scale * 0.0032))
    steps = np.arange(-radius, radius + 1)
    disc = np.array([(dx, dy) for dy in steps for dx in steps if dx * dx + dy * dy <= radius * radius + radius])
    distance = view.distance(cloud.points)
    order = np.argsort(-distance, kind="stable")
    span = max(float(np.ptp(distance)), 1e-6)
    haze = 0.25 * ((distance - distance.min()) / span)[:, None]
    shown = (cloud.colors * (1.0 - haze) + np.array(_BACKGROUND) * haze)[order]
    # The darker rim tells neighbours of the same colour apart.
    rim = np.where((disc**2).sum(axis=1) > (radius - 1) ** 2, 0.82, 1.0)
    # Later assignments win, so that one pass from far to near needs no depth buffer.
    pixels = (np.rint(view.pixels(cloud.points[order])).astype(np.intp)[:, None] + disc).reshape(-1, 2)
    canvas = np.array(image)
    left, top, right, bottom = view.area
    inside = (pixels[:, 0] >= left) & (pixels[:, 0] < right) & (pixels[:, 1] >= top) & (pixels[:, 1] < bottom)
    painted = (shown[:, None] * rim[:, None]).astype(np.uint8).reshape(-1, 3)[inside]
    canvas[pixels[inside, 1], pixels[inside, 0]] = painted
    image.paste(Image.fromarray(canvas))


def gripper_edges(pose: NDArray[np.floating], gripper_open: bool) -> NDArray[np.float64]:
    """Line segments (4, 2, 3) that stand for a gripper, metres, in the frame of its pose (7,)."""
    own = _glyph_lines(gripper_open)
    edges = transform_points(matrix_from_pose(pose), own.reshape(-1, 3)).astype(np.float64)
    return edges.reshape(own.shape)


def _glyph_lines(gripper_open: bool) -> NDArray[np.float64]:
    """Line segments (4, 2, 3) of a gripper in its own frame: z is the approach axis, the fingers open along y."""
    half = _OPEN_HALF_WIDTH if gripper_open else _CLOSED_HALF_WIDTH
    palm = -_FINGER
    return np.array(
        [
            [[0, -half, 0], [0, -half, palm]],
            [[0, half, 0], [0, half, palm]],
            [[0, -_OPEN_HALF_WIDTH, palm], [0, _OPEN_HALF_WIDTH, palm]],
            [[0, 0, palm], [0, 0, palm - _STEM]],
        ],
        dtype=np.float64,
    )


def _draw_wireframe(draw: ImageDraw.ImageDraw, view: _View, wire: Wireframe) -> None:
    for edge in wire.edges:
        draw.line([tuple(p) for p in view.pixels(edge)], fill=wire.color, width=wire.width * _SUPERSAMPLING)
    if wire.label:
        x, y = view.pixels(wire.edges[0, :1])[0]
        shift = 4 * _SUPERSAMPLING
        draw.text((x + shift, y - 4 * shift), wire.label, fill=wire.color, font=_font(12))


def _draw_gripper(draw: ImageDraw.ImageDraw, view: _View, gripper: GripperGlyph) -> None:
    edges = gripper_edges(gripper.pose, gripper.gripper_open)
    for fill, width in (((255, 255, 255), 6), (gripper.color, 3)):
        for line in edges:
            ends = [tuple(p) for p in view.pixels(line)]
            draw.line(ends, fill=fill, width=width * _SUPERSAMPLING, joint="curve")
    x, y = view.pixels(gripper.pose[None, :3])[0]
    dot = 4 * _SUPERSAMPLING
    draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=gripper.color, outline=(255, 255, 255))
    if gripper.label:
        draw.text(
            (x + 3 * dot, y - dot),
            gripper.label,
            fill=gripper.color,
            font=_font(14),
            stroke_width=2 * _SUPERSAMPLING,
            stroke_fill=(255, 255, 255),
        )


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SUPERSAMPLING)
