# SPDX-License-Identifier: Apache-2.0
"""Batched rotations and scalings for tasks, with the names of `omni.isaac.core.utils.torch`.

Quaternions are (w, x, y, z) and of unit length; the leading dimension is the batch. On a GPU each operation on tensors
is a kernel of some microseconds, however small, so that what is written here is written in few of them.
"""

from __future__ import annotations

import math

import torch

Tensor = torch.Tensor


def torch_rand_float(lower: float, upper: float, shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """Draw uniformly from [lower, upper), rounded as in Isaac Sim, so that the same seed gives the same starts."""
    return (upper - lower) * torch.rand(*shape, device=device) + lower


def tensor_clamp(t: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Clamp elementwise between two tensors."""
    return torch.max(torch.min(t, upper), lower)


def scale(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Map [-1, 1] linearly to [lower, upper]."""
    return 0.5 * (x + 1.0) * (upper - lower) + lower


def unscale(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Map [lower, upper] linearly to [-1, 1]."""
    return (2.0 * x - upper - lower) / (upper - lower)


def normalize(x: Tensor, eps: float = 1e-9) -> Tensor:
    """Scale vectors to unit length; shorter than `eps` they shrink towards zero."""
    return x / x.norm(p=2, dim=-1, keepdim=True).clamp(min=eps)


def normalize_angle(x: Tensor) -> Tensor:
    """Map angles in rad to (-pi, pi]."""
    return torch.atan2(torch.sin(x), torch.cos(x))


def quat_conjugate(q: Tensor) -> Tensor:
    """Return the inverse rotation, (N, 4)."""
    return torch.cat((q[..., :1], -q[..., 1:]), dim=-1)


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """Compose rotations: first `b`, then `a`, (N, 4)."""
    w_a, v_a = a[..., :1], a[..., 1:]
    w_b, v_b = b[..., :1], b[..., 1:]
    w = w_a * w_b - (v_a * v_b).sum(-1, keepdim=True)
    v = torch.linalg.cross(v_a, v_b).addcmul(w_a, v_b).addcmul(w_b, v_a)
    return torch.cat((w, v), dim=-1)


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """Rotate vectors (N, 3) by quaternions (N, 4): v + 2 (w (u x v) + u x (u x v)), u the vector part."""
    u = q[..., 1:]
    crossed = torch.linalg.cross(u, v)
    return torch.add(v, torch.linalg.cross(u, crossed).addcmul(q[..., :1], crossed), alpha=2.0)


def quat_rotate_inverse(q: Tensor, v: Tensor) -> Tensor:
    """Rotate vectors (N, 3) by the inverse of quaternions (N, 4)."""
    u = q[..., 1:]
    crossed = torch.linalg.cross(u, v)
    return torch.add(v, torch.linalg.cross(u, crossed).addcmul(q[..., :1], crossed, value=-1.0), alpha=2.0)


def get_euler_xyz(q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return roll, pitch and yaw in [0, 2 pi), each (N,): rotations about fixed x, then y, then z.

    Roll is atan2(w x + y z, 1/2 - x² - y²), yaw atan2(w z + x y, 1/2 - y² - z²), pitch asin(2 (w y - z x)).
    """
    products = q.unsqueeze(-1) * q.unsqueeze(-2)
    squares = products.diagonal(dim1=-2, dim2=-1)
    sines = products[..., 0, 1::2] + products[..., 2, 1::2].flip(-1)  # of roll and yaw
    cosines = 0.5 - squares[..., 1::2] - squares[..., 2:3]
    pitch = torch.asin((2.0 * (products[..., 0, 2] - products[..., 1, 3])).clamp(-1.0, 1.0))
    angles = torch.cat((torch.atan2(sines, cosines), pitch.unsqueeze(-1)), dim=-1) % math.tau
    roll, yaw, pitch = angles.unbind(-1)
    return roll, pitch, yaw


def quat_from_euler_xyz(roll: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """Return the quaternions (N, 4) of rotations about fixed x, then y, then z."""
    half = [(torch.cos(0.5 * angle), torch.sin(0.5 * angle)) for angle in (roll, pitch, yaw)]
    (cr, sr), (cp, sp), (cy, sy) = half
    w = cy * cr * cp + sy * sr * sp
    x = cy * sr * cp - sy * cr * sp
    y = cy * cr * sp + sy * sr * cp
    z = sy * cr * cp - cy * sr * sp
    return torch.stack((w, x, y, z), dim=-1)


def quat_from_angle_axis(angle: Tensor, axis: Tensor) -> Tensor:
    """Return the rotations (N, 4) by angles (N,) in rad about axes (N, 3)."""
    half = (0.5 * angle).unsqueeze(-1)
    return normalize(torch.cat([torch.cos(half), normalize(axis) * torch.sin(half)], dim=-1))


def compute_heading_and_up(
    torso_rotation: Tensor, inv_start_rot: Tensor, to_target: Tensor, vec0: Tensor, vec1: Tensor, up_idx: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Project a torso's heading and up vectors, as OmniIsaacGymEnvs' locomotion tasks do.

    Args:
        torso_rotation: Orientations, (N, 4).
        inv_start_rot: Inverse of the orientation that counts as upright and facing ahead, (N, 4).
        to_target: Vectors to the target in the world frame, (N, 3).
        vec0: Heading in the torso frame, (N, 3).
        vec1: Up in the torso frame, (N, 3).
        up_idx: World axis that is up.

    Returns:
        Orientations relative to the start (N, 4), component of up along the world's up (N,), cosine between heading
        and target (N,), up vectors (N, 3) and heading vectors (N, 3) in the world frame.
    """
    torso_quat = quat_mul(torso_rotation, inv_start_rot)
    turned = quat_rotate(torso_quat.unsqueeze(-2), torch.stack((vec0, vec1), dim=-2))
    heading_vec, up_vec = turned.unbind(-2)
    heading_proj = (heading_vec * normalize(to_target)).sum(-1)
    return torso_quat, up_vec[:, up_idx], heading_proj, up_vec, heading_vec


def compute_rot(
    torso_quat: Tensor, velocity: Tensor, ang_velocity: Tensor, targets: Tensor, torso_positions: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Express velocities in the torso frame and orientation as angles, as OmniIsaacGymEnvs' locomotion tasks do.

    The angle to the target is taken in the x-z plane there, not in the ground plane; it is kept so that scores compare.

    Returns:
        Linear and angular velocity in the torso frame (N, 3), roll, pitch, yaw and angle to target in rad (N,).
    """
    velocities = torch.stack((velocity, ang_velocity), dim=-2)
    vel_loc, angvel_loc = quat_rotate_inverse(torso_quat.unsqueeze(-2), velocities).unbind(-2)
    roll, pitch, yaw = get_euler_xyz(torso_quat)
    to_target = targets - torso_positions
    return vel_loc, angvel_loc, roll, pitch, yaw, torch.atan2(to_target[:, 2], to_target[:, 0]) - yaw
