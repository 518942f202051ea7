"""Colour and depth images of a MuJoCo state: by casting rays, which needs nothing but MuJoCo, or by EGL."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from itertools import product
from typing import Any, Final, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.simulation.cameras import pinhole
from mini_diffuser_ros.simulation.errors import SimulationError

ByteImage = NDArray[np.uint8]
DepthImage = NDArray[np.float32]
Vector = NDArray[np.float64]

RENDERERS: Final = ("rays", "egl")

# One lamp far away; both renderers shade as ambient + diffuse * cos(angle to the lamp).
LIGHT_DIRECTION: Final = (-0.35, -0.25, -0.9)
AMBIENT: Final = 0.5
DIFFUSE: Final = 0.5
BACKGROUND: Final = (0.0, 0.0, 0.0)
_SHADES: Final = 256
_FARTHEST: Final = 100.0
_NEAR: Final = 1e-3
_UNCOLORED: Final = (0.5, 0.5, 0.5, 1.0)
"""What MuJoCo gives to geoms that say no colour; those of a material take its own then."""

# The corners of a box of half extent 1 and the pairs of them that its edges join.
_CORNERS: Final = np.array(list(product((-1.0, 1.0), repeat=3)))
_EDGES: Final = np.array([(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit])


class Renderer(Protocol):
    """Draws what a named camera of a model sees."""

    def render(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[ByteImage, DepthImage]:
        """Colour (H, W, 3) uint8 RGB and depth (H, W) float32, metres along the optical axis, 0 where nothing is."""
        ...

    def close(self) -> None:
        """Gives resources back."""
        ...


def make_renderer(name: str, groups: Sequence[int] | None = None) -> Renderer:
    """A renderer by name.

    Args:
        name: one of :data:`RENDERERS`.
        groups: of geoms that are drawn, and nothing else then. Models made elsewhere have shapes for collision alone in
            a group of their own. By default rays see all, and EGL draws what MuJoCo's viewer does.

    Raises:
        SimulationError: if the name is unknown or EGL cannot be opened on this machine.
    """
    if name == "rays":
        return RayRenderer(groups)
    if name == "egl":
        return EglRenderer(groups)
    raise SimulationError(f"unknown renderer '{name}'; valid: {', '.join(RENDERERS)}")


def rendered_view(
    renderer: Renderer,
    model: mujoco.MjModel,
    data: mujoco.MjData,
    camera: str,
    size: tuple[int, int],
    base_from_world: Vector,
    stamp: float = 0.0,
) -> CameraView:
    """What a named camera of any MuJoCo model sees, with its calibration.

    Args:
        renderer: draws it.
        model: has the camera.
        data: positions of bodies and cameras are those of the last ``mj_forward``.
        camera: its name in the model, and in the view.
        size: height and width, pixels.
        base_from_world: (4, 4) pose of MuJoCo's world in the arm's base frame.
        stamp: seconds.
    """
    color, depth = renderer.render(model, data, camera, *size)
    index = model.camera(camera).id
    world_from_camera = np.eye(4)
    # MuJoCo's cameras look along -z with y up, optical frames along z with y down.
    world_from_camera[:3, :3] = data.cam_xmat[index].reshape(3, 3) * (1.0, -1.0, -1.0)
    world_from_camera[:3, 3] = data.cam_xpos[index]
    return CameraView(
        name=camera,
        color=color,
        depth=depth,
        intrinsics=pinhole(np.radians(model.cam_fovy[index]), *size),
        base_from_camera=base_from_world @ world_from_camera,
        stamp=stamp,
    )


class RayRenderer:
    """Casts one ray a pixel through its centre.

    Rays are cast only where a geom's bounding box can show; the planes behind them are intersected directly, which
    saves two thirds of the time. Buffers are reused: fresh pages of memory cost as much as their rays. A texture shows
    as its mean colour.

    Args:
        groups: of geoms that are seen; all by default.
    """

    def __init__(self, groups: Sequence[int] | None = None) -> None:
        self._groups = None if groups is None else np.array([group in groups for group in range(mujoco.mjNGROUP)])
        self._buffers: dict[tuple[int, int, float], _RayBuffers] = {}
        self._painted: tuple[mujoco.MjModel, Vector] | None = None

    def render(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[ByteImage, DepthImage]:
        """See :class:`Renderer`."""
        index = model.camera(camera).id
        buffers = self._buffers_for(height, width, float(np.radians(model.cam_fovy[index])))
        origin, rotation = data.cam_xpos[index], data.cam_xmat[index].reshape(3, 3)
        np.matmul(buffers.camera_rays, rotation.T, out=buffers.rays)
        buffers.geoms.fill(-1)
        buffers.distances.fill(np.inf)
        seen = np.ones(model.ngeom, np.bool_) if self._groups is None else self._groups[model.geom_group]
        flat = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        for geom in np.flatnonzero(flat & seen):
            _hit_plane(model, data, int(geom), origin, buffers)
        covered = _covered_pixels(
            model, data, np.flatnonzero(~flat & seen), origin, rotation, buffers.focal, height, width
        )
        _cast(model, data, self._groups, origin, np.flatnonzero(covered), buffers)
        # The rays reach one metre forward, so that a distance in rays is a depth in metres.
        depth = np.where(buffers.geoms < 0, 0.0, buffers.distances).astype(np.float32)
        return _shade(self._colors(model), buffers).reshape(height, width, 3), depth.reshape(height, width)

    def close(self) -> None:
        """Nothing to give back."""

    def _colors(self, model: mujoco.MjModel) -> Vector:
        """(G, 3) of all geoms; textures are looked through once a model."""
        if not model.nmat:
            return np.asarray(model.geom_rgba[:, :3])
        if self._painted is None or self._painted[0] is not model:
            self._painted = model, _surface_colors(model)
        return self._painted[1]

    def _buffers_for(self, height: int, width: int, fovy: float) -> _RayBuffers:
        key = (height, width, fovy)
        if key not in self._buffers:
            self._buffers[key] = _RayBuffers(height, width, fovy)
        return self._buffers[key]


class _RayBuffers:
    """Rays of a camera and room for what they hit.

    Attributes:
        focal: focal length, pixels.
        camera_rays: (H * W, 3) directions in MuJoCo's camera frame (x right, y up, z backward), with z = -1.
        rays: (H * W, 3) the same in the world.
        geoms: (H * W,) index of the geom hit, -1 for none.
        distances: (H * W,) in lengths of the ray, infinite for none.
        normals: (H * W, 3) of the surface hit.
    """

    def __init__(self, height: int, width: int, fovy: float) -> None:
        self.focal = height / 2.0 / np.tan(fovy / 2.0)
        grid = np.empty((height, width, 3))
        grid[..., 0] = (np.arange(width) - (width - 1) / 2.0) / self.focal
        grid[..., 1] = -(np.arange(height)[:, None] - (height - 1) / 2.0) / self.focal
        grid[..., 2] = -1.0
        self.camera_rays = grid.reshape(-1, 3)
        self.rays = np.empty_like(self.camera_rays)
        self.geoms = np.empty(height * width, np.int32)
        self.distances = np.empty(height * width, np.float64)
        self.normals = np.zeros_like(self.camera_rays)


def _cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    groups: NDArray[np.bool_] | None,
    origin: Vector,
    pixels: NDArray[np.intp],
    buffers: _RayBuffers,
) -> None:
    """Writes what the rays of ``pixels`` hit into the buffers."""
    count = len(pixels)
    if count == 0:
        return
    geoms, distances, normals = np.empty(count, np.int32), np.empty(count), np.empty(3 * count)
    rays = buffers.rays[pixels].reshape(-1)
    shown = None if groups is None else groups.astype(np.uint8)
    mujoco.mj_multiRay(model, data, origin, rays, shown, 1, -1, geoms, distances, normals, count, _FARTHEST)
    buffers.geoms[pixels] = geoms
    buffers.distances[pixels] = distances
    buffers.normals[pixels] = normals.reshape(-1, 3)


def _hit_plane(model: mujoco.MjModel, data: mujoco.MjData, geom: int, origin: Vector, buffers: _RayBuffers) -> None:
    """Intersects all rays with the front of a plane of limited or, where its size is 0, unlimited extent."""
    axes = data.geom_xmat[geom].reshape(3, 3)
    position = axes.T @ (origin - data.geom_xpos[geom])
    directions = buffers.rays @ axes
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = -position[2] / directions[:, 2]
        hit = (distances > 0.0) & (directions[:, 2] < 0.0) & (distances < buffers.distances)
        for axis in (0, 1):
            if model.geom_size[geom, axis] > 0.0:
                hit &= np.abs(position[axis] + distances * directions[:, axis]) <= model.geom_size[geom, axis]
    buffers.geoms[hit] = geom
    buffers.distances[hit] = distances[hit]
    buffers.normals[hit] = axes[:, 2]


def _covered_pixels(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    solid: NDArray[np.intp],
    origin: Vector,
    rotation: Vector,
    focal: float,
    height: int,
    width: int,
) -> NDArray[np.bool_]:
    """(H, W) True where the bounding box of a geom that is no plane, one of ``solid``, may show."""
    axes = data.geom_xmat[solid].reshape(-1, 3, 3)
    corners = model.geom_aabb[solid, None, :3] + _CORNERS * model.geom_aabb[solid, None, 3:]
    world = np.einsum("gij,gkj->gki", axes, corners) + data.geom_xpos[solid, None]
    seen = (world - origin) @ rotation
    depth = -seen[..., 2]
    # Each edge of a box is cut at the near plane, so that what projects is in front of the camera.
    first, second = seen[:, _EDGES[:, 0]], seen[:, _EDGES[:, 1]]
    depth_first, depth_second = depth[:, _EDGES[:, 0]], depth[:, _EDGES[:, 1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (_NEAR - depth_first) / (depth_second - depth_first)
    crosses = (depth_first < _NEAR) != (depth_second < _NEAR)
    cut = first + np.where(crosses, part, 0.0)[..., None] * (second - first)
    points = np.concatenate([seen, cut], axis=1)
    visible = np.concatenate([depth >= _NEAR, crosses], axis=1)
    reach = np.where(visible, -points[..., 2], 1.0)
    columns = points[..., 0] / reach * focal + (width - 1) / 2.0
    rows = -points[..., 1] / reach * focal + (height - 1) / 2.0
    covered = np.zeros((height, width), bool)
    for left, right, upper, lower in zip(
        *_bounds(columns, visible, width), *_bounds(rows, visible, height), strict=True
    ):
        covered[upper:lower, left:right] = True
    return covered


def _bounds(
    pixels: NDArray[np.float64], visible: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one past the last pixel, one pixel generous, of the visible points (G, P) of each geom."""
    low = np.where(visible, pixels, np.inf).min(axis=1)
    high = np.where(visible, pixels, -np.inf).max(axis=1)
    return (
        np.clip(np.floor(low) - 1.0, 0, size).astype(np.int64),
        np.clip(np.ceil(high) + 2.0, 0, size).astype(np.int64),
    )


def _surface_colors(model: mujoco.MjModel) -> Vector:
    """(G, 3) what the geoms look like in the mean: colour of geom or material, times that of its texture."""
    colors = np.array(model.geom_rgba[:, :3])
    for geom in np.flatnonzero(model.geom_matid >= 0):
        material = int(model.geom_matid[geom])
        if np.array_equal(model.geom_rgba[geom], np.array(_UNCOLORED, np.float32)):
            colors[geom] = model.mat_rgba[material, :3]
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        if texture >= 0:
            colors[geom] *= _mean_color(model, texture)
    return colors


def _mean_color(model: mujoco.MjModel, texture: int) -> Vector:
    """(3,) in [0, 1]."""
    channels = int(model.tex_nchannel[texture])
    size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
    start = int(model.tex_adr[texture])
    pixels = np.asarray(model.tex_data[start : start + size]).reshape(-1, channels)
    return np.broadcast_to(pixels.mean(axis=0)[:3] / 255.0, 3)


def _shade(colors: Vector, buffers: _RayBuffers) -> ByteImage:
    """Colours (H * W, 3) of the surfaces hit, by those of the geoms (G, 3), lit by the one lamp."""
    lamp = -np.asarray(LIGHT_DIRECTION) / np.linalg.norm(LIGHT_DIRECTION)
    # Looked up in a table of colour by geom and brightness, as fine as the image itself.
    brightness = AMBIENT + DIFFUSE * np.linspace(0.0, 1.0, _SHADES)
    shades = np.empty((len(colors) + 1, _SHADES, 3))
    shades[:-1] = colors[:, None] * brightness[:, None]
    # Index -1, no hit, is the last row.
    shades[-1] = BACKGROUND
    table = np.rint(255.0 * np.clip(shades, 0.0, 1.0)).astype(np.uint8).reshape(-1, 3)
    facing = buffers.normals @ ((_SHADES - 1.0) * lamp)
    rows = np.clip(facing, 0.0, _SHADES - 1.0).astype(np.int32)
    rows += np.where(buffers.geoms < 0, len(colors), buffers.geoms) * _SHADES
    return np.take(table, rows, axis=0)


class EglRenderer:
    """Draws with OpenGL, off screen. Needs libegl1 and libgl1; several times faster than rays.

    Args:
        groups: of geoms that are drawn, without sites then; by default what MuJoCo's viewer draws.

    Raises:
        SimulationError: if no EGL context can be made.
    """

    def __init__(self, groups: Sequence[int] | None = None) -> None:
        self._option = mujoco.MjvOption()
        if groups is not None:
            self._option.geomgroup[:] = [group in groups for group in range(mujoco.mjNGROUP)]
            self._option.sitegroup[:] = 0
        self._context = _egl_context()
        # MuJoCo ends EGL when the interpreter ends; a context that is freed after that complains.
        atexit.register(self._context.free)
        self._model: mujoco.MjModel | None = None
        self._scene: mujoco.MjvScene | None = None
        self._gpu: mujoco.MjrContext | None = None

    def render(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[ByteImage, DepthImage]:
        """See :class:`Renderer`."""
        self._context.make_current()
        scene, gpu = self._bind(model, height, width)
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = model.camera(camera).id
        mujoco.mjv_updateScene(model, data, self._option, mujoco.MjvPerturb(), view, mujoco.mjtCatBit.mjCAT_ALL, scene)
        rectangle = mujoco.MjrRect(0, 0, width, height)
        color = np.empty((height, width, 3), np.uint8)
        raw = np.empty((height, width), np.float32)
        mujoco.mjr_render(rectangle, scene, gpu)
        mujoco.mjr_readPixels(color, raw, rectangle, gpu)
        # OpenGL's first row is the lowest.
        color, depth = color[::-1].copy(), _metres(raw[::-1], model)
        color[depth == 0.0] = np.rint(255.0 * np.asarray(BACKGROUND))
        return color, depth

    def close(self) -> None:
        """Frees buffers and context."""
        if self._gpu is not None:
            self._context.make_current()
            self._gpu.free()
        self._context.free()
        atexit.unregister(self._context.free)
        self._model = self._scene = self._gpu = None

    def _bind(self, model: mujoco.MjModel, height: int, width: int) -> tuple[mujoco.MjvScene, mujoco.MjrContext]:
        """Scene and GPU buffers of the model, made anew when the model changes."""
        if self._gpu is None or self._scene is None or self._model is not model:
            if self._gpu is not None:
                self._gpu.free()
            self._scene = mujoco.MjvScene(model, maxgeom=200 + model.ngeom + model.nsite)
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
            self._gpu = _context_of_single_samples(model)
            self._gpu.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
            self._model = model
        if (self._gpu.offHeight, self._gpu.offWidth) != (height, width):
            mujoco.mjr_resizeOffscreen(width, height, self._gpu)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._gpu)
        return self._scene, self._gpu


def _context_of_single_samples(model: mujoco.MjModel) -> mujoco.MjrContext:
    """GPU buffers in which a pixel is what its centre sees: of several samples depth would be that of another place."""
    several = int(model.vis.quality.offsamples)
    model.vis.quality.offsamples = 0
    try:
        return mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    finally:
        model.vis.quality.offsamples = several


def _egl_context() -> Any:
    try:
        from mujoco.egl import GLContext

        return GLContext(1, 1)
    # Depending on what is missing, PyOpenGL fails with one of these while its module loads.
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        raise SimulationError(
            f"the 'egl' renderer cannot start ({error}); install libegl1 and libgl1, or use 'rays'"
        ) from error


def _metres(raw: NDArray[np.float32], model: mujoco.MjModel) -> DepthImage:
    """Depth in metres of an OpenGL depth buffer (reversed: 1 is near, 0 is infinitely far or empty)."""
    near = model.vis.map.znear * model.stat.extent
    far = model.vis.map.zfar * model.stat.extent
    depth = near * far / (near + raw.astype(np.float64) * (far - near))
    return np.where(raw > 0.0, depth, 0.0).astype(np.float32)
