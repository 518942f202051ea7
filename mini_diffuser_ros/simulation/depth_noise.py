"""What a stereo depth camera makes of a perfect depth image, by the numbers of an Intel RealSense D435.

Stereo cameras measure disparity, focal length times baseline over depth, so that noise of the depth grows with its
square: Intel's guide to tuning depth cameras gives its root mean square as depth**2 * subpixel / (focal * baseline),
with a subpixel of 0.08 on what has texture. Disparity comes in steps of a 32nd of a pixel. As blocks are matched,
errors of neighbouring pixels are alike, and edges have depths in between or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, grey_dilation, grey_erosion

DepthImage = NDArray[np.float32]


@dataclass(frozen=True)
class StereoNoise:
    """Properties of a stereo camera.

    Attributes:
        focal: pixels, of its depth images.
        baseline: metres between its eyes.
        subpixel: pixels, standard deviation of a disparity.
        step: pixels, disparities are multiples of it.
        blocks: pixels, standard deviation of the Gaussian over which errors are alike; 0 has them independent.
        edge_jump: metres to a neighbour from which on a pixel is at an edge.
        lost_at_edges: share of pixels at edges that have no depth; half of the rest lies in between.
        unit: metres, steps of the depth image.
    """

    focal: float = 385.0
    baseline: float = 0.050
    subpixel: float = 0.08
    step: float = 1.0 / 32.0
    blocks: float = 1.0
    edge_jump: float = 0.03
    lost_at_edges: float = 0.5
    unit: float = 0.001

    def apply(self, depth: DepthImage, random: np.random.Generator) -> DepthImage:
        """The image (H, W), metres, as the camera would give it; 0 is "no measurement" in both."""
        known = depth > 0.0
        filled = np.where(known, depth, 10.0).astype(np.float64)
        near, far = grey_erosion(filled, 3), grey_dilation(filled, 3)
        edge = far - near > self.edge_jump
        chance = random.random(depth.shape)
        between = near + (far - near) * random.random(depth.shape)
        mixed = edge & (chance > self.lost_at_edges) & (chance < 0.5 + 0.5 * self.lost_at_edges)
        filled = np.where(mixed, between, filled)
        noise = random.standard_normal(depth.shape)
        if self.blocks:
            noise = gaussian_filter(noise, self.blocks)
            noise /= noise.std()
        disparity = self.focal * self.baseline / filled + self.subpixel * noise
        disparity = np.maximum(np.round(disparity / self.step), 1.0) * self.step
        measured = np.round(self.focal * self.baseline / disparity / self.unit) * self.unit
        return np.where(known & ~(edge & (chance <= self.lost_at_edges)), measured, 0.0).astype(np.float32)
