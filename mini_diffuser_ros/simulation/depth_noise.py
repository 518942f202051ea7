"""What a stereo depth camera makes of a perfect depth image, by the numbers of an Intel RealSense D435.

Stereo cameras measure disparity, focal length times baseline over depth, so that noise of the depth grows with its
square: Intel's guide to tuning depth cameras gives its root mean square as depth**2 * subpixel / (focal * baseline),
with a subpixel of 0.08 on what has texture. Disparity comes in steps of a 32nd of a pixel. As blocks are matched,
errors of neighbouring pixels are alike, and edges have depths in between or none. Nothing is measured of what one eye
alone sees, which is a band beside everything near, and little of what is black, mirrors the projector or is seen flat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mini_diffuser_ros.perception.silhouettes import extremes_around
from mini_diffuser_ros.support.settings import bounded, check_fields

DepthImage = NDArray[np.float32]
ColorImage = NDArray[np.uint8]
Shares = NDArray[np.float32]

_BEYOND = 10.0  # metres, where nothing is seen


@dataclass(frozen=True)
class StereoNoise:
    """Properties of a stereo camera; an effect is off at 0.

    Attributes:
        focal: pixels, of its own depth images, whatever the size of those that are rendered.
        baseline: metres between its eyes.
        subpixel: pixels, standard deviation of a disparity.
        step: pixels, disparities are multiples of it.
        blocks: pixels, standard deviation of the Gaussian over which errors are alike; 0 has them independent.
        unit: metres, steps of the depth image.
        nearest: metres, nothing nearer is measured.
        edge_jump: metres to a neighbour from which on a pixel is at an edge.
        lost_at_edges: share of pixels at edges that have no depth.
        flying: share of pixels at edges whose depth lies between near and far.
        lost_in_shadow: share lost of what is hidden from the other eye by something nearer.
        dark: brightness, the largest channel of the colour from 0 to 1, from which down depth is lost.
        lost_when_dark: share lost of what is black; none at ``dark``, in proportion between.
        grazing: radians between the surface's normal and the ray from which on depth is lost.
        lost_when_grazing: share lost of what is seen flat; none at ``grazing``, in proportion between.
        mirror: radians between the normal and the ray up to which a surface mirrors the projector.
        lost_when_shiny: share lost of what does.
        patches: pixels, standard deviation of the Gaussian that gives holes their size.
    """

    focal: float = bounded(385.0, 1.0, 1e5)
    baseline: float = bounded(0.050, 1e-4, 10.0)
    subpixel: float = bounded(0.08, 0.0, 100.0)
    step: float = bounded(1.0 / 32.0, 0.0, 100.0)
    blocks: float = bounded(1.0, 0.0, 100.0)
    unit: float = bounded(0.001, 0.0, 1.0)
    nearest: float = bounded(0.0, 0.0, 100.0)
    edge_jump: float = bounded(0.03, 1e-6, 100.0)
    lost_at_edges: float = bounded(0.5, 0.0, 1.0)
    flying: float = bounded(0.25, 0.0, 1.0)
    lost_in_shadow: float = bounded(0.0, 0.0, 1.0)
    dark: float = bounded(0.15, 0.0, 1.0)
    lost_when_dark: float = bounded(0.0, 0.0, 1.0)
    grazing: float = bounded(math.radians(70.0), 0.0, math.pi / 2)
    lost_when_grazing: float = bounded(0.0, 0.0, 1.0)
    mirror: float = bounded(math.radians(6.0), 0.0, math.pi / 2)
    lost_when_shiny: float = bounded(0.0, 0.0, 1.0)
    patches: float = bounded(2.0, 0.0, 100.0)

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(
        self,
        depth: DepthImage,
        random: np.random.Generator,
        color: ColorImage | None = None,
        intrinsics: NDArray[np.floating] | None = None,
    ) -> DepthImage:
        """The image as the camera would give it.

        Args:
            depth: (H, W) planar depth, metres; 0 is "no measurement" here and in what is returned.
            random: source of all draws.
            color: (H, W, 3) of the same pixels; without it nothing is lost for being dark.
            intrinsics: (3, 3) of the image; without it nothing is lost for its angle or in shadows.
        """
        known = depth > 0.0
        filled = np.where(known, depth, np.float32(_BEYOND)).astype(np.float32, copy=False)
        near, far = extremes_around(filled, filled)
        edge = far - near > self.edge_jump
        lost = self._lost(filled, edge, color, intrinsics)
        measured = self._with_flying(filled, near, far, np.flatnonzero(edge), random)
        measured = self._quantised(self._noisy(measured, random))
        if lost.any():
            # Uniform numbers that neighbours share: what is lost is lost in patches.
            known &= ndtr(_normal(depth.shape, self.patches, random)) >= lost
        if self.nearest:
            known &= measured >= self.nearest
        return np.where(known, measured, np.float32(0.0))

    def _with_flying(
        self,
        depth: DepthImage,
        near: DepthImage,
        far: DepthImage,
        edge: NDArray[np.intp],
        random: np.random.Generator,
    ) -> DepthImage:
        """The image with depths between near and far at some of the pixels ``edge``."""
        if not self.flying or not len(edge):
            return depth
        # Of the pixels that are left at edges.
        share = self.flying / (1.0 - min(self.lost_at_edges, 0.999))
        flying = edge[random.random(len(edge)) < share]
        between = near.take(flying) + (far - near).take(flying) * random.random(len(flying), dtype=np.float32)
        mixed = depth.copy()
        mixed.reshape(-1)[flying] = between
        return mixed

    def _noisy(self, depth: DepthImage, random: np.random.Generator) -> DepthImage:
        if not self.subpixel:
            return depth
        camera = np.float32(self.focal * self.baseline)
        noise = _normal(depth.shape, self.blocks, random)
        noise *= np.float32(self.subpixel)
        noise += camera / depth
        # Nothing lies beyond infinity.
        np.maximum(noise, np.float32(max(self.step, 1e-3)), out=noise)
        return camera / noise

    def _quantised(self, depth: DepthImage) -> DepthImage:
        if self.step:
            camera = self.focal * self.baseline
            steps = np.maximum(np.rint(np.float32(camera / self.step) / depth), np.float32(1.0))
            depth = np.float32(camera / self.step) / steps
        if self.unit:
            depth = np.rint(depth * np.float32(1.0 / self.unit)) * np.float32(self.unit)
        return depth

    def _lost(
        self,
        depth: DepthImage,
        edge: NDArray[np.bool_],
        color: ColorImage | None,
        intrinsics: NDArray[np.floating] | None,
    ) -> Shares:
        """Share (H, W) of each pixel's kind that has no depth."""
        lost = np.zeros(depth.shape, np.float32)
        if color is not None and self.lost_when_dark and self.dark:
            brightest = np.maximum(np.maximum(color[..., 0], color[..., 1]), color[..., 2])
            darkness = 1.0 - brightest * np.float32(1.0 / (255.0 * self.dark))
            np.maximum(lost, np.float32(self.lost_when_dark) * darkness, out=lost)
        if intrinsics is not None and (self.lost_when_grazing or self.lost_when_shiny):
            facing = _facing(depth, intrinsics)
            flat = facing < math.cos(self.grazing)
            beyond = np.arccos(facing[flat]) - np.float32(self.grazing)
            share = np.float32(self.lost_when_grazing / max(math.pi / 2 - self.grazing, 1e-6))
            lost[flat] = np.maximum(lost[flat], share * beyond)
            mirrors = facing > math.cos(self.mirror)
            lost[mirrors] = np.maximum(lost[mirrors], np.float32(self.lost_when_shiny))
        # The slope at an edge is none of a surface.
        lost[edge] = self.lost_at_edges
        if intrinsics is not None and self.lost_in_shadow:
            hidden = _in_shadow(depth, float(intrinsics[0, 0]) * self.baseline)
            lost[hidden] = np.maximum(lost[hidden], np.float32(self.lost_in_shadow))
        return lost


def _normal(shape: tuple[int, int], alike: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Normal numbers of variance 1 that are alike over a Gaussian of ``alike`` pixels."""
    reach = math.ceil(3.0 * alike)
    # Drawn beyond the borders, so that those are like the middle.
    noise = random.standard_normal((shape[0] + 2 * reach, shape[1] + 2 * reach), dtype=np.float32)
    if reach:
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / alike) ** 2)
        weights = (weights / np.sqrt(np.sum(weights**2))).astype(np.float32)
        noise = sum(weight * noise[at : at + shape[0]] for at, weight in enumerate(weights))
        noise = sum(weight * noise[:, at : at + shape[1]] for at, weight in enumerate(weights))
    return noise


def _facing(depth: DepthImage, intrinsics: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine (H, W) of the angle between each pixel's ray and the normal of the surface that it sees."""
    height, width = depth.shape
    along, down = intrinsics[0, 0], intrinsics[1, 1]
    x = ((np.arange(width) - intrinsics[0, 2]) / along).astype(np.float32)
    y = ((np.arange(height)[:, None] - intrinsics[1, 2]) / down).astype(np.float32)
    slope_x, slope_y = np.zeros_like(depth), np.zeros_like(depth)
    slope_x[:, 1:-1] = (depth[:, 2:] - depth[:, :-2]) * np.float32(along / 2.0)
    slope_y[1:-1] = (depth[2:] - depth[:-2]) * np.float32(down / 2.0)
    # Of the surface depth * (x, y, 1) the normal is the cross product of its derivatives by column and row.
    inward = depth + x * slope_x + y * slope_y
    lengths = np.sqrt(slope_x**2 + slope_y**2 + inward**2) * np.sqrt(1.0 + x**2 + y**2)
    return np.clip(depth / np.maximum(lengths, np.float32(1e-12)), 0.0, 1.0)


def _in_shadow(depth: DepthImage, focal_times_baseline: float) -> NDArray[np.bool_]:
    """Which pixels of the left eye are hidden from the right one: a pixel further right lands on or left of theirs."""
    columns = np.arange(depth.shape[1], dtype=np.float32) - np.float32(focal_times_baseline) / depth
    hidden = np.zeros(depth.shape, np.bool_)
    leftmost = np.minimum.accumulate(columns[:, :0:-1], axis=1)[:, ::-1]
    hidden[:, :-1] = leftmost <= columns[:, :-1]
    return hidden
