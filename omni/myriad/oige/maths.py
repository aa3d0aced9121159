# SPDX-License-Identifier: Apache-2.0
"""The functions of `omni.isaac.core.utils.torch`, which tasks import by name or with a star and compile by TorchScript.

Quaternions are (w, x, y, z); the leading dimension is the batch. Formulas are the textbook ones; names and arguments
are Isaac Sim's.
"""

# No postponed annotations here: TorchScript reads them.
import math
from typing import List, Optional, Sequence, Tuple  # noqa: F401, UP035

import numpy as np  # noqa: F401
import torch
from torch import Tensor

from omni.myriad.maths import (  # noqa: F401
    compute_heading_and_up,
    compute_rot,
    get_euler_xyz,
    normalize,
    normalize_angle,
    quat_conjugate,
    quat_from_angle_axis,
    quat_from_euler_xyz,
    quat_mul,
    quat_rotate,
    quat_rotate_inverse,
    scale,
    tensor_clamp,
    torch_rand_float,
    unscale,
)

scale_transform, unscale_transform = scale, unscale


def quat_apply(a: Tensor, b: Tensor) -> Tensor:
    """Rotate vectors (..., 3) by quaternions (..., 4)."""
    return quat_rotate(a.reshape(-1, 4), b.reshape(-1, 3)).view(b.shape)


def quat_axis(q: Tensor, axis: int = 0) -> Tensor:
    """Return where the x, y or z axis points after a rotation, (N, 3)."""
    basis = torch.zeros(q.shape[0], 3, device=q.device)
    basis[:, axis] = 1.0
    return quat_rotate(q, basis)


def quat_unit(a: Tensor) -> Tensor:
    """Scale quaternions to unit length."""
    return normalize(a)


def quat_diff_rad(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle between two rotations, (N,) in rad."""
    difference = quat_mul(a, quat_conjugate(b))
    return 2.0 * torch.asin(torch.clamp(torch.norm(difference[:, 1:], p=2, dim=-1), max=1.0))


def euler_angles_to_quats(euler_angles: Tensor, degrees: bool = False, device: Optional[str] = None) -> Tensor:  # noqa: UP045
    """Return the rotations about fixed x, then y, then z by angles (N, 3)."""
    angles = torch.deg2rad(euler_angles) if degrees else euler_angles
    return quat_from_euler_xyz(angles[:, 0], angles[:, 1], angles[:, 2])


def tf_inverse(q: Tensor, t: Tensor) -> Tuple[Tensor, Tensor]:  # noqa: UP006
    """Return rotation and translation of the inverse of a pose."""
    inverse = quat_conjugate(q)
    return inverse, -quat_apply(inverse, t)


def tf_vector(q: Tensor, v: Tensor) -> Tensor:
    """Turn vectors by a pose."""
    return quat_apply(q, v)


def tf_combine(q1: Tensor, t1: Tensor, q2: Tensor, t2: Tensor) -> Tuple[Tensor, Tensor]:  # noqa: UP006
    """Compose two poses, the second given in the first."""
    return quat_mul(q1, q2), quat_apply(q1, t2) + t1


def torch_random_dir_2(shape: Tuple[int, int], device: str) -> Tensor:  # noqa: UP006
    """Draw directions in the plane uniformly, with a last dimension of 2."""
    angle = torch_rand_float(-math.pi, math.pi, shape, device).squeeze(-1)
    return torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
