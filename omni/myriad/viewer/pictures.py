# SPDX-License-Identifier: Apache-2.0
"""What cameras saw as pictures for people, and where on a body something presses."""

from __future__ import annotations

import numpy as np

_LEAST_SIDE = 240  # pixels, up to which small pictures are enlarged
_MOST_POINTS = 2000  # of a body that are looked at
_FLAT = 1e-3  # of a body's size, within which points are on the same face
_COLOURS = np.array(
    [[232, 236, 242], [47, 111, 219], [235, 120, 40], [60, 160, 90], [222, 38, 96], [140, 90, 190], [120, 120, 130]],
    np.uint8,
)


def seen(kind: str, pixels: np.ndarray) -> np.ndarray:
    """Return a picture as colours, enlarged where it is small, (height, width, 3) uint8.

    Args:
        kind: What the camera was asked for: "rgb", "depth", ... as `CameraView` names them.
        pixels: The picture, (height, width, channels).
    """
    if pixels.dtype == np.uint8:
        shown = pixels[..., :3]
    elif kind == "normals":
        shown = (127.5 + 127.5 * pixels[..., :3]).clip(0, 255).astype(np.uint8)
    elif kind == "semantic_segmentation":
        shown = _COLOURS[pixels[..., 0] % len(_COLOURS)]
    else:
        near = np.isfinite(pixels[..., 0])
        some = pixels[..., 0][near] if near.any() else np.zeros(1)
        part = (pixels[..., 0] - some.min()) / max(float(np.ptp(some)), 1e-6)
        grey = np.where(near, 255.0 - 190.0 * np.where(near, part, 0.0), 0.0)  # what is near is bright, nothing black
        shown = np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)
    times = max(1, _LEAST_SIDE // min(shown.shape[:2]))
    return np.ascontiguousarray(shown.repeat(times, axis=0).repeat(times, axis=1))


def support(points: np.ndarray | None, pose: np.ndarray, force: np.ndarray) -> np.ndarray:
    """Return where a normal force presses on a convex body, (3,): the end, or middle of the face, that it comes from.

    Args:
        points: Points of its surface in its frame, (K, 3) in m; None for a body without colliders.
        pose: Its position in m and orientation as wxyz, (7,).
        force: The force on it in N, (3,), in the world.
    """
    if points is None:
        return pose[:3]
    w, x, y, z = pose[3:]
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    points = points[:: 1 + len(points) // _MOST_POINTS]
    along = points @ (turn.T @ -force) / np.linalg.norm(force)
    ends = points[along > along.max() - _FLAT * max(float(np.ptp(along)), 1e-9)]
    return pose[:3] + turn @ ends.mean(axis=0)
