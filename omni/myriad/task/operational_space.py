# SPDX-License-Identifier: Apache-2.0
"""Torques that move a frame of a robot, and not its joints one by one.

After O. Khatib, "A unified approach for motion and force control of robot manipulators: the operational space
formulation", IEEE Journal on Robotics and Automation 3(1), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_conjugate, quat_mul


def pose_errors(
    positions: Tensor, orientations: Tensor, wanted_positions: Tensor, wanted_orientations: Tensor
) -> Tensor:
    """Return how far frames are from where they are wanted, (N, 6), along and about the axes of the world.

    Args:
        positions: Where they are in m, (N, 3).
        orientations: How they are turned, (N, 4) as wxyz.
        wanted_positions: Where they are wanted, (N, 3).
        wanted_orientations: How, (N, 4).

    Returns:
        Ways in m, then rotation vectors in rad of at most pi, the shorter way round.
    """
    turn = quat_mul(wanted_orientations, quat_conjugate(orientations))
    turn = turn * torch.where(turn[:, :1] < 0.0, -1.0, 1.0)  # both signs are one rotation; this one is the shorter
    sine = turn[:, 1:].norm(dim=-1, keepdim=True)
    # angle / sin(angle / 2), which tends to 2 where there is nothing to turn
    scale = torch.where(sine > 1e-6, 2.0 * torch.atan2(sine, turn[:, :1]) / sine.clamp(min=1e-6), 2.0)
    return torch.cat((wanted_positions - positions, scale * turn[:, 1:]), dim=-1)


@dataclass(frozen=True)
class OperationalSpace:
    """Springs and dampers between a frame and where it is wanted, in K directions, as torques of the joints.

    The work is done on the device, without waiting for it: it can be part of a captured step.

    Args:
        stiffness: For all directions or each of them. "pose": 1/s^2, an acceleration for each m or rad, whatever the
            robot weighs. "impedance": N/m and N m/rad, a force, which moves a light robot faster than a heavy one.
        kind: "pose" undoes the robot's inertia, so that directions do not disturb each other; "impedance" leaves it as
            it is, so that the frame feels like those springs to whoever pushes it.
        damping: In 1/s, or N s/m and N m s/rad; None makes it critical, in "impedance" for the mass or inertia that
            each direction alone would move. Torques are held for a step of dt: a damping of more than twice that mass
            by dt makes the arm shake.
        posture_stiffness: 1/s^2 of what holds the posture as far as the frame does not move from it, critically damped.
        mobility: Added to the frame's mobility (1/kg), so that forces stay finite where an arm is stretched.
    """

    stiffness: float | Sequence[float]
    kind: Literal["pose", "impedance"] = "pose"
    damping: float | Sequence[float] | None = None
    posture_stiffness: float = 0.0
    mobility: float = 1e-4

    def __post_init__(self) -> None:
        stiffness, damping = ([x] if isinstance(x, int | float) else x or () for x in (self.stiffness, self.damping))
        if self.kind not in ("pose", "impedance"):
            raise MyriadError(f"OperationalSpace(kind={self.kind!r}) is invalid: it is 'pose' or 'impedance'.")
        if min(*stiffness, *damping, self.posture_stiffness, self.mobility, 0.0) < 0.0:
            raise MyriadError(f"{self} is invalid: nothing of it may be negative.")

    def torques(
        self,
        jacobians: Tensor,
        mass_matrices: Tensor,
        joint_velocities: Tensor,
        errors: Tensor,
        posture_errors: Tensor | None = None,
    ) -> Tensor:
        """Return the torques of the joints, (N, D) in N m, without what carries the robot's weight.

        Args:
            jacobians: From joint velocities to the frame's in the K directions, (N, K, D): rows of `frame_jacobians`.
            mass_matrices: Of the joints, (N, D, D): of `Robots.inertias`.
            joint_velocities: In rad/s, (N, D).
            errors: How far the frame is from where it is wanted in the K directions, (N, K): of `pose_errors`.
            posture_errors: How far the joints are from where they should rather be, in rad, (N, D).
        """
        stiffness = _row(self.stiffness, errors.dtype, errors.device)
        transposed = jacobians.transpose(-1, -2)
        # What is symmetric and positive needs no pivoting, and no look at the result that would wait for the device.
        by_mass = torch.cholesky_solve(transposed, torch.linalg.cholesky_ex(mass_matrices)[0])  # M^-1 J^T
        mobility = jacobians @ by_mass
        mobility.diagonal(dim1=-2, dim2=-1).add_(self.mobility)
        if self.damping is not None:
            damping = _row(self.damping, errors.dtype, errors.device)
        elif self.kind == "pose":
            damping = 2.0 * stiffness**0.5
        else:
            damping = 2.0 * (stiffness / mobility.diagonal(dim1=-2, dim2=-1)) ** 0.5
        velocities = (jacobians @ joint_velocities.unsqueeze(-1)).squeeze(-1)
        pulls = (stiffness * errors - damping * velocities).unsqueeze(-1)
        factor = torch.linalg.cholesky_ex(mobility)[0]
        forces = torch.cholesky_solve(pulls, factor) if self.kind == "pose" else pulls
        torques = transposed @ forces
        if self.posture_stiffness > 0.0 and posture_errors is not None:
            wanted = self.posture_stiffness * posture_errors - 2.0 * self.posture_stiffness**0.5 * joint_velocities
            held = mass_matrices @ wanted.unsqueeze(-1)
            # Less the part that would accelerate the frame.
            torques = torques + held - transposed @ torch.cholesky_solve(by_mass.transpose(-1, -2) @ held, factor)
        return torques.squeeze(-1)


def _row(values: float | Sequence[float], dtype: torch.dtype, device: torch.device) -> Any:
    """Return a number as it is, and several as a tensor that is sent to the device once."""
    return values if isinstance(values, int | float) else _tensor(tuple(values), dtype, device)


@cache
def _tensor(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)
