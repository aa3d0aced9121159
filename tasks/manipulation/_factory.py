# SPDX-License-Identifier: Apache-2.0
"""What OmniIsaacGymEnvs' Factory tasks share: a Panda arm driven by torques, a bench, and an M16 nut and bolt on it."""

import torch

from omni.myriad import ObservationTerm, RigidPrimView, RLTask, Scene
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_from_euler_xyz, quat_rotate
from omni.myriad.task.actuators import moving_joints
from omni.myriad.task.fasteners import M16, author_mesh
from omni.myriad.task.operational_space import pose_errors

HAND, FINGERS = "panda_hand", ("panda_leftfinger", "panda_rightfinger")
FINGER_LENGTH = 0.053671  # m, from where a finger begins to its tip
PAD_LENGTH = 0.017608  # m, of the flat end of a finger
OPEN = 0.08  # m, of a finger's joint as the original asks for it; it ends at 0.04
MAX_EFFORT = 100.0  # N m or N


class FactoryNutBolt(RLTask):
    """The world of the Factory tasks (Y. Narang et al., "Factory: Fast Contact for Robotic Assembly", 2022).

    Twelve actions, of which the first six say how far the fingertips shall go and turn from where they are; torques of
    the arm follow from that once a step. Episodes are of one length and end together, because hands are moved between
    episodes by steps of physics, which all environments take.
    """

    num_actions = 12
    endless_joints: tuple[str, ...] = ()
    """Joints that turn for ever."""

    def set_up_scene(self, scene: Scene) -> None:
        """Author arm, bench, bolt and nut.

        Raises:
            MyriadError: If the engine has no signed distance fields: nuts would be closed.
        """
        from omni.myriad.engine.usd import remove_limits, replace_colliders

        if self.world.name not in ("physx", "isaacsim"):
            raise MyriadError(f"{self.name} needs contacts by signed distance fields: use engine=physx.")
        env = self.task_config["env"]
        arm = self.add_robot("Robot", "panda", env["robotPosition"], env["robotOrientation"])
        # Fingers with flat ends, as they are, where the arm's own file has capsules that end 6 mm below their tips; and
        # nothing of its foot, whose capsules reach into the ground.
        pad = (-0.0105, 0.0, 0.02), (0.0105, 0.012, FINGER_LENGTH)
        mirrored = (pad[0][0], -pad[1][1], pad[0][2]), (pad[1][0], 0.0, pad[1][2])
        boxes = {FINGERS[0]: [pad], FINGERS[1]: [mirrored], "panda_link0": [], "panda_link1": []}
        for link, colliders in boxes.items():
            replace_colliders(arm.GetChild(link), colliders)
        for joint in self.endless_joints:
            remove_limits(moving_joints(arm)[joint])
        self.add_robot("Bench", "bench/bench.usda", (0.0, 0.0, 0.5 * env["benchHeight"]))
        field, friction = env["sdfResolution"], env["fastenerFriction"]
        on_bench, beside = (0.0, 0.0, env["benchHeight"]), (0.0, 0.1, env["benchHeight"])
        bolt = author_mesh(self.stage, "Bolt", M16.bolt(), on_bench, True, field, friction)
        nut = author_mesh(self.stage, "Nut", M16.nut(), beside, False, field, friction)
        self._sim_config.apply_articulation_settings("Bolt", bolt)
        self._sim_config.apply_articulation_settings("Nut", nut)
        super().set_up_scene(scene)
        self.robot = scene.add(self.robot_view("Robot", "robots"))
        self.nuts = scene.add(RigidPrimView("/World/envs/.*/Nut/nut", name="nuts"))
        self.bolts = scene.add(RigidPrimView("/World/envs/.*/Bolt/bolt", name="bolts"))

    def post_reset(self) -> None:
        """Look at joints, and make what is kept from step to step."""
        env, device, n = self.task_config["env"], self.device, self.num_envs
        names = [f"panda_joint{number}" for number in range(1, 8)], ("panda_finger_joint1", "panda_finger_joint2")
        self.arm, self.fingers = (
            torch.tensor([self.robot.get_dof_index(name) for name in part], device=device) for part in names
        )
        # Jacobians have no row for the root, which is fixed.
        self.finger_rows = torch.tensor([self.robot.body_names.index(name) - 1 for name in FINGERS], device=device)
        self.bench_height: float = env["benchHeight"]
        self.home = torch.tensor(env["jointPositions"], device=device)
        self.reaches = torch.tensor(env["posActionScale"] + env["rotActionScale"], device=device)
        self.efforts = torch.zeros((n, self.robot.num_dof), device=device)
        self.actions = torch.zeros((n, self.num_actions), device=device)
        self.up = torch.tensor([0.0, 0.0, 1.0], device=device).repeat(n, 1)
        count = env["numKeypoints"]
        self.keypoints = env["keypointScale"] * (torch.linspace(0.0, 1.0, count, device=device) - 0.5)
        self.succeeded = torch.zeros(n, device=device)
        self.measure()

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that fingertips are observed, and what `object_terms` says."""
        return [
            term("fingertip_position", 3, "m"),
            term("fingertip_orientation", 4),
            term("fingertip_linear_velocity", 3, "m/s"),
            term("fingertip_angular_velocity", 3, "rad/s"),
            *self.object_terms(),
        ]

    def object_terms(self) -> list[ObservationTerm]:
        """Say what is observed of nut and bolt."""
        raise NotImplementedError

    # -- where things are ---------------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Look at joints, fingertips, nut and bolt: positions in m from the environment's origin, (num_envs, 3)."""
        robot = self.robot
        self.joints = robot.get_joint_positions()
        self.joint_velocities = robot.get_joint_velocities()
        self.hand, self.hand_turn = robot.frame_poses(HAND)
        self.finger_middle = robot.frame_poses(FINGERS)[0].mean(dim=1)
        self.fingertip = self.finger_middle + FINGER_LENGTH * quat_rotate(self.hand_turn, self.up)
        velocities = robot.frame_velocities(HAND)
        self.fingertip_spin = velocities[:, 3:]
        lever = self.fingertip - self.hand
        self.fingertip_velocity = velocities[:, :3] + torch.linalg.cross(self.fingertip_spin, lever, dim=-1)
        # As there: the Jacobian of the fingers' middle, and not of their tips, whose positions are the errors.
        self.jacobian = robot.get_jacobians()[:, self.finger_rows][..., self.arm].mean(dim=1)
        self.masses = robot.inertias()[:, self.arm.unsqueeze(-1), self.arm]
        self.nut, self.nut_turn = self.nuts.get_world_poses()
        self.nut -= self._env_pos
        self.bolt, self.bolt_turn = self.bolts.get_world_poses()
        self.bolt -= self._env_pos

    def get_observations(self) -> None:
        """Observe what was measured."""
        self.measure()
        self.observe(
            {
                "fingertip_position": self.fingertip,
                "fingertip_orientation": self.hand_turn,
                "fingertip_linear_velocity": self.fingertip_velocity,
                "fingertip_angular_velocity": self.fingertip_spin,
                **self.objects(),
            }
        )

    def objects(self) -> dict[str, torch.Tensor]:
        """Return what is observed of nut and bolt."""
        raise NotImplementedError

    def along(self, positions: torch.Tensor, turns: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
        """Return points on the z axes of frames, (num_envs, K, 3), at distances (K,) in m from their origins."""
        ways = quat_rotate(turns, self.up)
        return positions.unsqueeze(1) + ways.unsqueeze(1) * distances.unsqueeze(-1)

    # -- how the arm is driven ----------------------------------------------------------------------------------------

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Move the fingertips by what the first six actions say; turns of less than 1e-6 rad are none."""
        self.actions.copy_(actions)
        errors = self.reaches * self.ways(actions)
        errors[:, 3:] *= errors[:, 3:].norm(dim=-1, keepdim=True) > 1e-6
        self.drive(errors, self.opening)

    def ways(self, actions: torch.Tensor) -> torch.Tensor:
        """Return the part of actions that moves the fingertips, (num_envs, 6)."""
        return actions[:, :6]

    @property
    def opening(self) -> float:
        """Where the fingers' joints shall be during an episode, in m."""
        return 0.0

    def drive(self, errors: torch.Tensor, opening: float) -> None:
        """Set efforts that move fingertips, as they were measured last, by `errors`, (num_envs, 6) in m and rad."""
        env = self.task_config["env"]
        ways = opening - self.joints[:, self.fingers]
        pulls = env["gripperStiffness"] * ways - env["gripperDamping"] * self.joint_velocities[:, self.fingers]
        self.efforts[:, self.fingers] = pulls
        self.efforts[:, self.arm] = self.torques(errors)
        self.robot.set_joint_efforts(self.efforts.clamp_(-MAX_EFFORT, MAX_EFFORT))

    def torques(self, errors: torch.Tensor) -> torch.Tensor:
        """Return torques of the arm, (num_envs, 7) in N m: inverse dynamics of joints towards a damped inverse."""
        env = self.task_config["env"]
        transposed = self.jacobian.transpose(-1, -2)
        squares = self.jacobian @ transposed
        squares.diagonal(dim1=-2, dim2=-1).add_(0.1**2)
        factor = torch.linalg.cholesky_ex(squares)[0]
        ways = transposed @ torch.cholesky_solve(errors.unsqueeze(-1), factor)
        speeds = self.joint_velocities[:, self.arm].unsqueeze(-1)
        return (self.masses @ (env["jointStiffness"] * ways - env["jointDamping"] * speeds)).squeeze(-1)

    # -- between episodes ---------------------------------------------------------------------------------------------

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put arms, nuts and bolts back, and move hands to where an episode begins, by steps of physics.

        Where only some begin anew, which an environment that stopped being finite does, the others hold their arms, and
        those that begin join the episode of the others.
        """
        joints = self.home.repeat(len(env_ids), 1)
        self.robot.set_joint_positions(joints, indices=env_ids)
        self.robot.set_joint_velocities(torch.zeros_like(joints), indices=env_ids)
        self.lay_out(env_ids)
        self.begin(env_ids)
        self.measure()
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0 if len(env_ids) == self.num_envs else self.progress_buf.max()

    def lay_out(self, env_ids: torch.Tensor) -> None:
        """Put nuts and bolts where an episode begins."""
        raise NotImplementedError

    def begin(self, env_ids: torch.Tensor) -> None:
        """Take the steps of physics that come before an episode."""

    def spread(self, middle: list[float], noise: list[float]) -> torch.Tensor:
        """Draw numbers about a middle, (num_envs, size)."""
        chance = 2.0 * torch.rand((self.num_envs, len(noise)), device=self.device) - 1.0
        return torch.tensor(middle, device=self.device) + torch.tensor(noise, device=self.device) * chance

    def put(self, things: RigidPrimView, env_ids: torch.Tensor, places: torch.Tensor, turns: torch.Tensor) -> None:
        """Put things, of which rows `env_ids` are taken, at places (num_envs, 3) in m, turned by (num_envs, 4)."""
        things.set_world_poses((places + self._env_pos)[env_ids], turns[env_ids], env_ids)

    def stand_bolts(self, env_ids: torch.Tensor) -> None:
        """Stand bolts on the bench, near its middle."""
        env = self.task_config["env"]
        places = self.bench_height * self.up
        places[:, :2] = self.spread([0.0, 0.0], env["boltNoise"])
        self.put(self.bolts, env_ids, places, self.level())

    def level(self) -> torch.Tensor:
        """Return the orientation of what is not turned, (num_envs, 4)."""
        return torch.tensor([1.0, 0.0, 0.0, 0.0], device=self.device).repeat(self.num_envs, 1)

    def move_hands(self, env_ids: torch.Tensor, opening: float) -> None:
        """Move hands towards a place above the bench that is drawn anew, for as many steps as the YAML says."""
        env = self.task_config["env"]
        x, y, z = env["handPosition"]
        places = self.spread([x, y, z + self.bench_height], env["handNoise"])
        turns = quat_from_euler_xyz(*self.spread(env["handTurn"], env["handTurnNoise"]).unbind(-1))
        begins = torch.zeros((self.num_envs, 1), device=self.device)
        begins[env_ids] = 1.0
        self.world.step()
        for _ in range(env["moveSteps"]):
            self.measure()
            self.drive(begins * pose_errors(self.fingertip, self.hand_turn, places, turns), opening)
            self.world.step()
        self.robot.set_joint_velocities(torch.zeros((len(env_ids), self.robot.num_dof), device=self.device), env_ids)
        self.world.step()

    # -- rewards ------------------------------------------------------------------------------------------------------

    @property
    def is_last(self) -> torch.Tensor:
        """Where the step that was just taken is the last of its episode, (num_envs,) bool."""
        return self.progress_buf >= self.max_episode_length - 1

    def action_cost(self) -> torch.Tensor:
        """Return what actions cost, (num_envs,): there the scale is squared."""
        return -(self.task_config["env"]["actionPenaltyScale"] ** 2) * self.actions.norm(dim=-1)

    def is_done(self) -> None:
        """End when time is up."""
        self.reset_buf[:] = self.time_out_buf

    def get_extras(self) -> None:
        """Report the share of environments whose last episode succeeded."""
        self.extras["episode"] = {"success": self.succeeded.mean()}


def term(name: str, size: int, unit: str = "") -> ObservationTerm:
    """Return a term in the frame of the world."""
    return ObservationTerm(name, size, unit, "world", source=name)


def keypoint_distance(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the sum of distances in m of K points, (num_envs, K, 3), from K others: (num_envs,)."""
    return (points - others).norm(dim=-1).sum(dim=-1)
