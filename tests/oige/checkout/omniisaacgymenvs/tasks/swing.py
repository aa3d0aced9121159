# SPDX-License-Identifier: Apache-2.0
"""Swing a pole up past a ball that hangs still: it imports what OmniIsaacGymEnvs' tasks do."""

import numpy as np
import torch
from gym import spaces
from omniisaacgymenvs.robots.pole import Pole
from omniisaacgymenvs.tasks.base.rl_task import RLTask
from pxr import UsdPhysics

from omni.isaac.core.articulations import ArticulationView
from omni.isaac.core.objects import DynamicSphere
from omni.isaac.core.prims import RigidPrimView
from omni.isaac.core.utils.prims import get_prim_at_path
from omni.isaac.core.utils.stage import get_current_stage
from omni.isaac.core.utils.torch.maths import torch_rand_float
from omni.isaac.core.utils.torch.rotations import *


class SwingTask(RLTask):
    def __init__(self, name, sim_config, env, offset=None):
        self._sim_config = sim_config
        self._cfg = sim_config.config
        self._task_cfg = sim_config.task_config
        self._num_envs = self._task_cfg["env"]["numEnvs"]
        self._env_spacing = self._task_cfg["env"]["envSpacing"]
        self.max_episode_length = 20
        self._num_observations = 5
        self._num_actions = 1
        self.action_space = spaces.Box(-np.ones(1, np.float32), np.ones(1, np.float32))
        RLTask.__init__(self, name, env)

    def set_up_scene(self, scene):
        pole = Pole(self.default_zero_env_path + "/Pole", translation=torch.tensor([0.0, 0.0, 2.0]))
        ball = DynamicSphere(
            prim_path=self.default_zero_env_path + "/ball",
            name="ball",
            translation=torch.tensor([0.0, 0.5, 4.0]),
            radius=0.1,
            mass=0.5,
            color=torch.tensor([1, 0, 0]),
        )
        ball.set_collision_enabled(self._task_cfg["env"]["solidBall"])
        for prim in (pole.prim, get_prim_at_path(ball.prim_path)):
            self._sim_config.apply_articulation_settings("pole", prim, self._sim_config.parse_actor_config("pole"))
        super().set_up_scene(scene, replicate_physics=self._task_cfg["env"]["replicate"])
        # Copies are on the stage, where they can be changed one by one.
        for i in range(self._num_envs):
            ball_i = get_current_stage().GetPrimAtPath(f"/World/envs/env_{i}/ball")
            UsdPhysics.MassAPI(ball_i).GetMassAttr().Set(0.5 + 0.1 * i)
        self._poles = ArticulationView(
            prim_paths_expr="/World/envs/.*/Pole", name="pole_view", reset_xform_properties=False
        )
        self._balls = RigidPrimView(prim_paths_expr="/World/envs/.*/ball", name="ball_view")
        scene.add(self._poles)
        scene.add(self._balls)

    def post_reset(self):
        self.reset_idx(torch.arange(self._num_envs, device=self._device))

    def reset_idx(self, env_ids):
        indices = env_ids.to(dtype=torch.int32)
        positions = torch_rand_float(-0.2, 0.2, (len(env_ids), self._poles.num_dof), device=self._device)
        self._poles.set_joint_positions(positions, indices=indices)
        self._poles.set_joint_velocities(torch.zeros_like(positions), indices=indices)
        self.reset_buf[env_ids] = 0
        self.progress_buf[env_ids] = 0

    def pre_physics_step(self, actions):
        if not self.world.is_playing():
            return
        reset_env_ids = self.reset_buf.nonzero(as_tuple=False).squeeze(-1)
        if len(reset_env_ids) > 0:
            self.reset_idx(reset_env_ids)
        efforts = torch.zeros((self._poles.count, self._poles.num_dof), device=self._device)
        efforts[:, self._poles.get_dof_index("cartJoint")] = 10.0 * actions[:, 0]
        self._poles.set_joint_efforts(efforts)
        # Without this the ball would fall: 0.5 kg hang in an updraught.
        lift = torch.zeros((self._num_envs, 1, 3), device=self._device)
        lift[..., 2] = 9.81 * self._balls.get_masses().view(-1, 1)
        self._balls.apply_forces(lift)

    def get_observations(self):
        positions = self._poles.get_joint_positions(clone=False)
        self.obs_buf = torch.cat(
            (positions, self._poles.get_joint_velocities(clone=False), height_of(self._balls)), dim=-1
        )
        positions += 100.0  # a getter's result is the task's own
        return {"pole_view": {"obs_buf": self.obs_buf}}

    def calculate_metrics(self):
        self.rew_buf[:] = uprightness(self.obs_buf)

    def is_done(self):
        self.reset_buf[:] = torch.where(self.progress_buf >= self.max_episode_length - 1, 1, 0)


def height_of(view):
    return view.get_world_poses(clone=False)[0][:, 2:]


@torch.jit.script
def uprightness(obs):
    # type: (Tensor) -> Tensor
    turn = quat_from_angle_axis(obs[:, 1], torch.tensor([[1.0, 0.0, 0.0]]).repeat(obs.shape[0], 1))
    return quat_axis(turn, 2)[:, 2]
