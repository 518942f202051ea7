"""Rigid transforms as a translation and a unit quaternion."""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # x y z w


class Pose(NamedTuple):
    """parent_from_child: translation in metres and rotation."""

    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """The product of two quaternions."""
    (ax, ay, az, aw), (bx, by, bz, bw) = a, b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def conjugate(q: Quaternion) -> Quaternion:
    """The inverse of a unit quaternion."""
    return -q[0], -q[1], -q[2], q[3]


def rotate(q: Quaternion, v: Vector) -> Vector:
    """A vector rotated by a unit quaternion."""
    x, y, z, _ = multiply(multiply(q, (*v, 0.0)), conjugate(q))
    return x, y, z


def compose(a: Pose, b: Pose) -> Pose:
    """a_from_c from a_from_b and b_from_c."""
    (x, y, z), (dx, dy, dz) = a.translation, rotate(a.rotation, b.translation)
    return Pose((x + dx, y + dy, z + dz), multiply(a.rotation, b.rotation))


def invert(a: Pose) -> Pose:
    """b_from_a from a_from_b."""
    x, y, z = rotate(conjugate(a.rotation), a.translation)
    return Pose((-x, -y, -z), conjugate(a.rotation))


def interpolate(a: Pose, b: Pose, share: float) -> Pose:
    """Between a (share 0) and b (share 1): linear translation, spherical linear rotation."""
    x, y, z = (p + share * (q - p) for p, q in zip(a.translation, b.translation, strict=True))
    dot = sum(p * q for p, q in zip(a.rotation, b.rotation, strict=True))
    angle = math.acos(min(abs(dot), 1.0))
    from_a, from_b = (math.sin(part * angle) if angle > 1e-3 else part for part in (1 - share, share))
    from_b = math.copysign(from_b, dot)  # the shorter way round
    mixed = [from_a * p + from_b * q for p, q in zip(a.rotation, b.rotation, strict=True)]
    qx, qy, qz, qw = (value / math.hypot(*mixed) for value in mixed)
    return Pose((x, y, z), (qx, qy, qz, qw))
