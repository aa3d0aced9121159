# SPDX-License-Identifier: Apache-2.0
"""FrankaCabinet: a Panda arm takes the handle of a drawer, and opens it."""

import math

import torch

from omni.myriad import ActionTerm, ObservationTerm, RigidPrimView, RLTask, Scene
from omni.myriad.maths import quat_rotate, tensor_clamp

HAND, FINGER, DRAWER = "panda_link7", "panda_leftfinger", "drawer_top"
DRAWER_JOINT = "Cabinet/drawer_top_joint"
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
GRASPS = {"hand_grasp": "handGrasp", "drawer_grasp": "drawerGrasp"}
"""Frames on hand and drawer, with the settings that say where they are."""


class FrankaCabinet(RLTask):
    """OmniIsaacGymEnvs' FrankaCabinet, to the number: 23 observations, 9 actions, 500 steps at 60 Hz.

    There two of the reward's terms, for fingers above and below the handle, compare the left finger with itself and are
    always zero; they are left out. Two things differ: there is no ground, which nothing needs, and the props in the
    drawer begin at rest, there with the velocities that the last episode ended with.
    """

    num_actions = 9
    capturable = True

    def set_up_scene(self, scene: Scene) -> None:
        """Author the arm, which faces the cabinet, and props in the cabinet's upper drawer."""
        env = self.task_config["env"]
        self.add_robot("Robot", "panda", env["robotPosition"], env["robotOrientation"])
        self.add_robot("Cabinet", "cabinet/cabinet.usda", env["cabinetPosition"])
        x, y, z = env["propsPosition"]
        per_row = math.ceil(math.sqrt(env["numProps"]))
        for prop in range(env["numProps"]):
            row, column = divmod(prop, per_row)
            across, along = (env["propSpacing"] * (place - 0.5 * (per_row - 1)) for place in (row, column))
            self.add_robot(f"Prop_{prop}", "prop/prop.usda", (x + along, y + across, z))
        super().set_up_scene(scene)
        self.robot = scene.add(self.robot_view("Robot", "robots"))
        self.cabinets = scene.add(self.robot_view("Cabinet", "cabinets"))
        for view, name, link in ((self.robot, "hand_grasp", HAND), (self.cabinets, "drawer_grasp", DRAWER)):
            view.add_frame(name, link, env[GRASPS[name]][:3], env[GRASPS[name]][3:])
        if env["numProps"]:
            self.props = scene.add(RigidPrimView("/World/envs/.*/Prop_.*/prop", name="props"))

    def post_reset(self) -> None:
        """Look at joints, and at where the props are."""
        env, device = self.task_config["env"], self.device
        self.lower, self.upper = self.robot.get_dof_limits()[0].to(device).unbind(-1)
        self.fingers = torch.tensor([self.robot.get_dof_index(name) for name in FINGERS], device=device)
        self.drawer = self.cabinets.get_dof_index("drawer_top_joint")
        self.default_joints = torch.tensor(env["jointPositions"], device=device)
        (action,) = self.action_terms()
        self.step_sizes = torch.tensor(action.scale, device=device)
        self.joint_targets = self.robot.get_joint_positions()
        self.actions = torch.zeros((self.num_envs, self.num_actions), device=device)
        self.opened = torch.zeros(self.num_envs, device=device)
        # Along the hand and against the drawer's opening, then across the fingers and up.
        self.hand_axes = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], device=device).repeat(self.num_envs, 1, 1)
        self.drawer_axes = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], device=device).repeat(self.num_envs, 1, 1)
        self.num_props = env["numProps"]
        if self.num_props:
            self.prop_rows = torch.arange(self.num_envs * self.num_props, device=device).view(-1, self.num_props)
            self.prop_poses = self.props.get_world_poses()

    def action_terms(self) -> list[ActionTerm]:
        """Say that actions move the targets of all joints from where they are."""
        step = self.task_config["env"]["actionScale"] / 60.0  # rad or m, of an action of 1
        joints = tuple(self.robot.dof_names)
        sizes = tuple(0.1 * step if name in FINGERS else step for name in joints)
        return [ActionTerm("position", joints, sizes, unit="rad", cumulative=True, from_joints=True)]

    def observation_terms(self) -> list[ObservationTerm]:
        """Say that the arm, the way to the handle and the drawer are observed."""
        joints = tuple(self.robot.dof_names)
        scale = (2.0 / (self.upper - self.lower)).tolist()
        middle = (0.5 * (self.upper + self.lower)).tolist()
        return [
            ObservationTerm(
                "joint_positions",
                source="joint_position",
                joint_names=joints,
                scale=tuple(scale),
                offset=tuple(middle),
            ),
            ObservationTerm(
                "joint_velocities",
                source="joint_velocity",
                joint_names=joints,
                scale=self.task_config["env"]["dofVelocityScale"],
            ),
            ObservationTerm(
                "way_to_handle",
                source="frame_position",
                frame="world",
                body_names=("Cabinet/drawer_grasp",),
                relative_to="hand_grasp",
            ),
            ObservationTerm("drawer_position", unit="m", source="object_joint_position", joint_names=(DRAWER_JOINT,)),
            ObservationTerm("drawer_velocity", unit="m/s", source="object_joint_velocity", joint_names=(DRAWER_JOINT,)),
        ]

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        """Put arms near their default posture, shut drawers and doors, and lay the props back."""
        noise = 0.25 * (torch.rand((len(env_ids), self.num_actions), device=self.device) - 0.5)
        joints = tensor_clamp(self.default_joints + noise, self.lower, self.upper)
        self.robot.set_joint_positions(joints, indices=env_ids)
        self.robot.set_joint_velocities(torch.zeros_like(joints), indices=env_ids)
        self.joint_targets[env_ids] = joints
        shut = torch.zeros((len(env_ids), self.cabinets.num_dof), device=self.device)
        self.cabinets.set_joint_positions(shut, indices=env_ids)
        self.cabinets.set_joint_velocities(shut, indices=env_ids)
        if self.num_props:
            rows = self.prop_rows[env_ids].flatten()
            positions, orientations = self.prop_poses
            self.props.set_world_poses(positions[rows], orientations[rows], rows)
            self.props.set_velocities(torch.zeros((len(rows), 6), device=self.device), rows)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Move the targets of all joints."""
        self.actions.copy_(actions)
        targets = self.joint_targets + self.step_sizes * actions
        self.joint_targets.copy_(tensor_clamp(targets, self.lower, self.upper))
        self.robot.set_joint_position_targets(self.joint_targets)

    def get_observations(self) -> None:
        """Observe the arm, the way to the handle and the drawer."""
        joints = self.robot.get_joint_positions(clone=False)
        hand, self.hand_turns = self.robot.frame_poses("hand_grasp")
        handle, self.drawer_turns = self.cabinets.frame_poses("drawer_grasp")
        self.opening = self.cabinets.get_joint_positions(clone=False)[:, self.drawer]
        self.finger_openings = joints[:, self.fingers]
        self.way = handle - hand
        self.observe(
            {
                "joint_positions": joints,
                "joint_velocities": self.robot.get_joint_velocities(clone=False),
                "way_to_handle": self.way,
                "drawer_position": self.opening,
                "drawer_velocity": self.cabinets.get_joint_velocities(clone=False)[:, self.drawer],
            }
        )

    def calculate_metrics(self) -> None:
        """Reward a hand at the handle and turned to it, closed fingers there, and an open drawer."""
        env, opening = self.task_config["env"], self.opening
        distance = self.way.norm(dim=-1)
        near = (1.0 / (1.0 + distance**2)) ** 2
        near = torch.where(distance <= 0.02, 2.0 * near, near)
        hand = quat_rotate(self.hand_turns.unsqueeze(1).expand(-1, 2, -1), self.hand_axes)
        drawer = quat_rotate(self.drawer_turns.unsqueeze(1).expand(-1, 2, -1), self.drawer_axes)
        aligned = (hand * drawer).sum(dim=-1)
        closed = torch.where(distance <= 0.03, (0.04 - self.finger_openings).sum(dim=-1), 0.0)
        self.rew_buf[:] = self.sum_rewards(
            {
                "distance": env["distRewardScale"] * near,
                "rotation": env["rotRewardScale"] * 0.5 * (aligned.sign() * aligned**2).sum(dim=-1),
                "opening": env["openRewardScale"] * opening,
                "open": 0.5 * (opening > 0.01),
                "fingers": env["fingerCloseRewardScale"] * closed,
                "actions": -env["actionPenaltyScale"] * (self.actions**2).sum(dim=-1),
            }
        )

    def is_done(self) -> None:
        """End when the drawer is open, or time is up, and note how far it was open then."""
        done = self.opening > 0.39
        self.time_out_buf &= ~done
        self.reset_buf[:] = done | self.time_out_buf
        self.opened[:] = torch.where(self.reset_buf.bool(), self.opening, self.opened)

    def get_extras(self) -> None:
        """Report how far drawers were open at the end of the environments' last episodes."""
        wide = self.opened > self.task_config["env"]["openDistance"]
        self.extras["episode"] = {"drawer_opening": self.opened.mean(), "drawer_open": wide.float().mean()}
