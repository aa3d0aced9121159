# SPDX-License-Identifier: Apache-2.0
"""What robots that fly to a target have in common: thrusts on rotors, how they begin, what they see of themselves."""

import torch

from omni.myriad import ArticulationView, ObservationTerm, RigidPrimView, RLTask, Scene


class Flight(RLTask):
    """A robot, called as the task is, that flies to a target by thrusts on its rotors.

    The ball that shows OmniIsaacGymEnvs' targets is left out: it touches nothing, and all environments would move it.

    Attributes:
        root: Name of the root link.
        rotors: Expression of the rotors' links.
        position: Of the root in its environment, (num_envs, 3) in m; likewise `orientation`, `velocity` (m/s) and
            `angular_velocity` (rad/s), as the last observation found them, in the world frame.
        target: Where the robot shall fly, (num_envs, 3) in m, in its environment.
        distance: From the root to the target, (num_envs,) in m.
    """

    capturable = True
    root: str = "chassis"
    rotors: str

    def set_up_scene(self, scene: Scene) -> None:
        """Author the robot and its copies."""
        name = type(self).__name__
        self.add_robot(name, f"{name.lower()}/{name.lower()}.usda", self.task_config["env"]["initialPosition"])
        super().set_up_scene(scene)
        self.copters = scene.add(ArticulationView(f"/World/envs/.*/{name}/{self.root}", name=f"{name.lower()}_view"))
        self.rotor_view = scene.add(RigidPrimView(f"/World/envs/.*/{name}/{self.rotors}", name="rotors_view"))

    def post_reset(self) -> None:
        """Prepare what stays the same from step to step."""
        cfg, n = self.task_config["env"], self.num_envs
        # As authored, and not read from physics, which has taken steps by now in Isaac Sim.
        self.initial_pos = self._env_pos + torch.tensor(cfg["initialPosition"], device=self.device)
        self.initial_rot = torch.tensor([1.0, 0.0, 0.0, 0.0], device=self.device).repeat(n, 1)
        noise = torch.tensor(cfg["resetPositionNoise"], device=self.device)
        self.start_lower, self.start_range = noise[:, 0], noise[:, 1] - noise[:, 0]
        self.target = torch.tensor(cfg["target"], device=self.device).repeat(n, 1)
        self.num_rotors = self.rotor_view.count // n
        # What the next step acts by, and so the same tensors every time.
        self.rotor_positions = torch.zeros((self.rotor_view.count, 3), device=self.device)
        self.rotor_orientations = torch.zeros((self.rotor_view.count, 4), device=self.device)

    def root_terms(self) -> list[ObservationTerm]:
        """Return what is observed of the root: the way to the target, orientation and velocities."""
        cfg = self.task_config["env"]
        position, velocity, angular = (1.0 / cfg[f"{name}Unit"] for name in ("position", "velocity", "angularVelocity"))
        world = "world"
        return [
            ObservationTerm("to_target", 3, "m", world, "target_position_less_root_position", position),
            ObservationTerm("root_orientation", source="root_orientation"),
            ObservationTerm("root_linear_velocity", frame=world, source="root_linear_velocity", scale=velocity),
            ObservationTerm("root_angular_velocity", frame=world, source="root_angular_velocity", scale=angular),
        ]

    def root_quantities(self) -> dict[str, torch.Tensor]:
        """Return the quantities of `root_terms`."""
        return {
            "to_target": self.target - self.position,
            "root_orientation": self.orientation,
            "root_linear_velocity": self.velocity,
            "root_angular_velocity": self.angular_velocity,
        }

    def push(self, forces: torch.Tensor) -> None:
        """Push the rotors at their middles, but not in the first step of an episode: where they are was seen before it.

        Args:
            forces: In the world frame, (num_envs, num_rotors, 3) in N.
        """
        forces = forces.masked_fill(self.began().view(-1, 1, 1), 0.0)
        self.rotor_view.apply_forces_and_torques_at_pos(forces.view(-1, 3), positions=self.rotor_positions)

    def began(self) -> torch.Tensor:
        """Tell where an episode begins with this step, (num_envs,) bool."""
        return self.progress_buf == 0

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put robots upright and at rest near their start."""
        num_resets = len(env_ids)
        offset = self.start_lower + self.start_range * torch.rand((num_resets, 3), device=self.device)
        self.copters.set_world_poses(self.initial_pos[env_ids] + offset, self.initial_rot[env_ids], indices=env_ids)
        self.copters.set_velocities(torch.zeros((num_resets, 6), device=self.device), indices=env_ids)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def look(self) -> None:
        """Read where root and rotors are."""
        position, self.orientation = self.copters.get_world_poses(clone=False)
        velocities = self.copters.get_velocities(clone=False)
        self.position = position - self._env_pos
        self.velocity, self.angular_velocity = velocities[:, :3], velocities[:, 3:]
        self.distance = (self.target - self.position).norm(dim=-1)
        positions, orientations = self.rotor_view.get_world_poses(clone=False)
        self.rotor_positions.copy_(positions)
        self.rotor_orientations.copy_(orientations)

    def hovering(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return how near the target, how upright and how free of spin robots are, from 0 to 1, (num_envs,) each."""
        cfg = self.task_config["env"]
        near = 1.0 / (1.0 + cfg["distanceWeight"] * self.distance**2)
        _, x, y, _ = self.orientation.unbind(-1)
        tilt = 2.0 * (x * x + y * y)  # 1 less the world's z of the root's z axis
        upright = 1.0 / (1.0 + cfg["tiltWeight"] * tilt**2)
        still = 1.0 / (1.0 + cfg["spinWeight"] * self.angular_velocity[:, 2] ** 2)
        return near, upright, still

    def failed(self) -> torch.Tensor:
        """Tell which robots are too far or too low, (num_envs,) bool."""
        cfg = self.task_config["env"]
        return (self.distance > cfg["terminationDistance"]) | (self.position[:, 2] < cfg["terminationHeight"])

    def is_done(self) -> None:
        """End where a robot has failed, or time is up."""
        failed = self.failed()
        self.time_out_buf &= ~failed
        self.reset_buf[:] = failed | self.time_out_buf
