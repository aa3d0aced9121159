# SPDX-License-Identifier: Apache-2.0
"""What every engine promises to tasks.

Units are SI (metres, kilograms, seconds, radians), Z is up, quaternions are (w, x, y, z), and every tensor has one row
per environment and lives on the engine's device. Views keep the names, arguments, shapes and semantics of Isaac Sim's
`isaacsim.core.prims.Articulation` and `RigidPrim`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

if TYPE_CHECKING:
    from pxr import Usd

ENVS_PATH = "/World/envs"
"""Parent of all environments, as in OmniIsaacGymEnvs."""

ENV_0_PATH = f"{ENVS_PATH}/env_0"
"""The environment a task authors; the engine clones it to env_1, env_2, ..."""


class DofType(IntEnum):
    """What a degree of freedom does, with the names and numbers of `omni.physics.tensors.DofType`."""

    Rotation = 0
    Translation = 1


@dataclass
class ArticulationActions:
    """Targets and efforts for `ArticulationView.apply_action`, with Isaac Sim's field names.

    Attributes:
        joint_positions: Position targets in rad or m, (M, K).
        joint_velocities: Velocity targets in rad/s or m/s, (M, K).
        joint_efforts: Efforts in N m or N, (M, K); K must be all degrees of freedom.
        joint_indices: Degrees of freedom, (K,); None means all.
        joint_names: Degrees of freedom by name, instead of `joint_indices`.
    """

    joint_positions: torch.Tensor | None = None
    joint_velocities: torch.Tensor | None = None
    joint_efforts: torch.Tensor | None = None
    joint_indices: Any = None
    joint_names: list[str] | None = None


@dataclass
class JointsState:
    """Joint positions (rad or m), velocities (rad/s or m/s) and efforts (N m or N), (N, num_dof) each."""

    positions: torch.Tensor | None
    velocities: torch.Tensor | None
    efforts: torch.Tensor | None


@dataclass
class XFormPrimViewState:
    """World positions (N, 3) in m and orientations (N, 4) as wxyz."""

    positions: torch.Tensor | None
    orientations: torch.Tensor | None


@dataclass
class DynamicsViewState:
    """World positions (N, 3), orientations (N, 4) as wxyz, linear (m/s) and angular (rad/s) velocities (N, 3)."""

    positions: torch.Tensor | None
    orientations: torch.Tensor | None
    linear_velocities: torch.Tensor | None
    angular_velocities: torch.Tensor | None


class View(Protocol):
    """A batch of prims that is initialised once physics runs."""

    name: str

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Connect the view to running physics."""
        ...


class Scene(Protocol):
    """The registry of views, as `isaacsim.core.api.scenes.Scene`."""

    def add(self, obj: Any) -> Any:
        """Register a view, to be initialised when physics starts; return it."""
        ...

    def get_object(self, name: str) -> Any | None:
        """Return the view of that name, or None."""
        ...

    def object_exists(self, name: str) -> bool:
        """Tell whether a view of that name is registered."""
        ...

    def remove_object(self, name: str, registry_only: bool = False) -> None:
        """Forget the view of that name."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A physics engine that steps `num_envs` clones of one environment."""

    name: str
    version: str
    device: torch.device
    physics_dt: float
    num_envs: int
    stage: Usd.Stage
    scene: Scene

    def add_ground_plane(
        self, prim_path: str, static_friction: float, dynamic_friction: float, restitution: float
    ) -> None:
        """Author an infinite ground plane at z = 0, shared by all environments."""
        ...

    def clone_environments(self, num_envs: int, spacing: float) -> torch.Tensor:
        """Place `num_envs` copies of environment 0 on a grid.

        Returns:
            World positions of the environments in metres, (num_envs, 3).
        """
        ...

    def reset(self) -> None:
        """Start physics if needed and initialise every registered view."""
        ...

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps of `physics_dt` seconds."""
        ...

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        ...

    def close(self) -> None:
        """Release physics; the engine cannot be used afterwards."""
        ...


def grid_positions(num_envs: int, spacing: float) -> list[tuple[float, float, float]]:
    """Lay environments out on a square grid in the order of Isaac Sim's `GridCloner`.

    Rows run along -x and columns along +y, centred on the origin: four environments 8 m apart stand at
    (4, -4), (4, 4), (-4, -4), (-4, 4).

    Args:
        num_envs: Number of environments, at least 1.
        spacing: Distance between neighbours in metres.

    Returns:
        A position (x, y, 0) in metres per environment.
    """
    per_row = int(num_envs**0.5)
    num_rows = -(-num_envs // per_row)
    num_cols = -(-num_envs // num_rows)
    x_0 = 0.5 * spacing * (num_rows - 1)
    y_0 = -0.5 * spacing * (num_cols - 1)
    return [(x_0 - spacing * (i // num_cols), y_0 + spacing * (i % num_cols), 0.0) for i in range(num_envs)]
