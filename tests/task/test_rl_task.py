# SPDX-License-Identifier: Apache-2.0
"""RLTask's contract, on real physics: the tutorial class of OmniIsaacGymEnvs, buffers, time-outs, mistakes."""

import textwrap

import pytest
import torch

from omni.myriad.errors import MyriadError

# The class of OmniIsaacGymEnvs' tutorial with its blanks filled: its constructor, its methods, rebound buffers.
TUTORIAL = """
import torch
from omni.myriad import ArticulationView, RLTask


class MyNewTask(RLTask):
    def __init__(self, name, sim_config, env, offset=None):
        self._sim_config = sim_config
        self._cfg = sim_config.config
        self._task_cfg = sim_config.task_config
        self._num_observations = 4
        self._num_actions = 1
        RLTask.__init__(self, name, env)

    def set_up_scene(self, scene):
        self.add_robot("Cartpole", "cartpole/cartpole.usda", position=(0.0, 0.0, 2.0))
        super().set_up_scene(scene)
        self._my_robots = ArticulationView(prim_paths_expr="/World/envs/.*/Cartpole", name="my_view")
        scene.add(self._my_robots)

    def post_reset(self):
        pass

    def pre_physics_step(self, actions):
        self.perform_reset()
        self.apply_action(actions)

    def perform_reset(self):
        reset_env_ids = self.reset_buf.nonzero(as_tuple=False).squeeze(-1)
        if len(reset_env_ids) > 0:
            indices = reset_env_ids.to(dtype=torch.int32)
            zeros = torch.zeros((len(indices), 2), device=self._device)
            self._my_robots.set_joint_positions(zeros, indices=indices)
            self._my_robots.set_joint_velocities(zeros, indices=indices)
            self.reset_buf[reset_env_ids] = 0
            self.progress_buf[reset_env_ids] = 0

    def apply_action(self, actions):
        forces = torch.zeros((self._my_robots.count, self._my_robots.num_dof), device=self._device)
        forces[:, 0] = 100.0 * actions[:, 0]
        indices = torch.arange(self._my_robots.count, dtype=torch.int32, device=self._device)
        self._my_robots.set_joint_efforts(forces, indices=indices)

    def get_observations(self):
        self.obs_buf = torch.cat(
            (self._my_robots.get_joint_positions(), self._my_robots.get_joint_velocities()), dim=-1
        )
        return {self._my_robots.name: {"obs_buf": self.obs_buf}}

    def calculate_metrics(self):
        self.rew_buf = REWARD

    def is_done(self):
        self.reset_buf = torch.where(self.progress_buf >= 5, 1, 0)
"""


@pytest.fixture
def tutorial(env_of, tmp_path):
    def build(reward="1.0 - self.obs_buf[:, 1] ** 2", *overrides, edit=lambda text: text):
        (tmp_path / "my_new_task.py").write_text(edit(TUTORIAL.replace("REWARD", reward)))
        return env_of("task=MyNewTask", f"task.task_path=[{tmp_path}]", "num_envs=3", *overrides)

    return build


def test_the_tutorials_class_runs_when_its_blanks_are_filled(tutorial):
    env = tutorial()
    env.reset()
    for _ in range(10):
        obs, rewards, dones, extras = env.step(torch.ones(3, 1))
    assert obs["obs"].shape == (3, 4) and rewards.shape == (3,) and dones.shape == (3,)
    assert (obs["obs"][:, 0] > 0.0).all()  # pushed towards +, the cart has moved there
    assert extras["time_outs"].shape == (3,)


def test_a_reward_column_is_taken_as_a_vector(tutorial):
    env = tutorial("(1.0 - self.obs_buf[:, 1] ** 2).unsqueeze(-1)")
    env.reset()
    assert env.step(torch.zeros(3, 1))[1].shape == (3,)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("REWARD", "self.obs_buf"), r"rew_buf must have shape \(3,\) after calculate_metrics, got \(3, 4\)"),
        (("torch.where(self.progress_buf >= 5, 1, 0)", "torch.zeros(3, 2)"), r"reset_buf must have shape \(3,\)"),
        (("_num_observations = 4", "_num_observations = 6"), r"obs_buf must have shape \(3, 6\).*got \(3, 4\)"),
        (("cartpole/cartpole.usda", "cartpole/nothing.usda"), r"Asset cartpole/nothing.usda of task MyNewTask was not"),
        (("        self._num_actions = 1\n", ""), "Task MyNewTask does not say its num_actions"),
        (("/.*/Cartpole", "/.*/Cartpol"), "matches no prim; /World/envs/env_0 holds: Cartpole"),
    ],
)
def test_a_tasks_mistakes_are_named(tutorial, edit, message):
    with pytest.raises(MyriadError, match=message):
        env = tutorial("REWARD" if edit[0] == "REWARD" else "self.obs_buf[:, 0]", edit=lambda text: text.replace(*edit))
        env.reset()


def test_an_asset_that_is_no_articulation_is_named(tutorial, tmp_path):
    (tmp_path / "box.usda").write_text(
        '#usda 1.0\n(defaultPrim = "Box")\ndef Cube "Box" (prepend apiSchemas = ["PhysicsRigidBodyAPI"]) {}\n'
    )
    with pytest.raises(MyriadError, match="/World/envs/env_0/Cartpole is no articulation: 0 prims"):
        tutorial(edit=lambda text: text.replace("cartpole/cartpole.usda", "box.usda"))


def test_a_method_left_out_is_named(env_of, tmp_path):
    (tmp_path / "empty.py").write_text(
        textwrap.dedent("""
            from omni.myriad import RLTask
            class Empty(RLTask):
                num_observations = 1
                num_actions = 1
                def set_up_scene(self, scene):
                    self.add_robot("Cartpole", "cartpole/cartpole.usda")
                    super().set_up_scene(scene)
            """)
    )
    env = env_of("task=Empty", f"task.task_path=[{tmp_path}]", "num_envs=2")
    with pytest.raises(NotImplementedError, match="Task Empty must define apply_actions"):
        env.reset()


def test_an_empty_environment_is_named(env_of, tmp_path):
    (tmp_path / "empty.py").write_text(
        "from omni.myriad import RLTask\nclass Empty(RLTask):\n    num_observations = num_actions = 1\n"
    )
    with pytest.raises(MyriadError, match="/World/envs/env_0 holds no rigid body"):
        env_of("task=Empty", f"task.task_path=[{tmp_path}]", "num_envs=2")


def test_time_outs_are_the_ends_at_the_step_limit(env_of):
    env = env_of("task=Cartpole", "num_envs=4", "task.env.episodeLength=7", "task.env.maxEffort=0")
    torch.manual_seed(0)
    env.reset()
    ends = []
    for step in range(7):
        positions = torch.zeros(4, 2)
        positions[3, 1] = 3.0 if step == 5 else 0.0  # the last pole falls in the very step in which time is up
        env.task.cartpoles.set_joint_positions(positions)
        _, _, dones, extras = env.step(torch.zeros(4, 1))
        ends.append((dones.bool().tolist(), extras["time_outs"].tolist()))
    # reset() took the first step, so the limit of 7 is reached in the sixth after it.
    assert ends[:5] == [([False] * 4, [False] * 4)] * 5
    assert ends[5] == ([True] * 4, [True, True, True, False])
    assert ends[6] == ([False] * 4, [False] * 4)


def test_actions_are_clamped(env_of):
    env = env_of("task=Cartpole", "num_envs=2")
    env.reset()
    env.step(torch.tensor([[30.0], [-30.0]]))
    efforts = env.task.cartpoles.get_applied_joint_efforts()
    assert efforts[:, env.task.cart].tolist() == [400.0, -400.0]


def test_observations_are_clipped(env_of):
    env = env_of("task=Cartpole", "num_envs=2")
    env.reset()
    env.task.cartpoles.set_joint_velocities(torch.tensor([[50.0, 0.0], [0.0, 0.0]]))
    env.task.reset_buf.zero_()
    obs, *_ = env.step(torch.zeros(2, 1))
    assert obs["obs"][0, 1] == 5.0


def test_state_goes_out_and_comes_back(env_of):
    env = env_of("task=Ant", "num_envs=4")
    torch.manual_seed(3)
    env.reset()
    for _ in range(20):
        env.step(torch.rand(4, 8) * 2 - 1)
    state = env.get_env_state()
    before = [t.clone() for t in (*env.task.ants.get_world_poses(), env.task.ants.get_joint_positions())]
    for _ in range(20):
        env.step(torch.rand(4, 8) * 2 - 1)
    env.set_env_state(state)
    after = [*env.task.ants.get_world_poses(), env.task.ants.get_joint_positions()]
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b)
    assert torch.equal(env.task.potentials, state["task"]["potentials"])
    assert torch.equal(env.task.progress_buf, state["task"]["progress_buf"])


def test_state_of_another_number_of_environments_starts_anew(env_of):
    state = env_of("task=Cartpole", "num_envs=2").get_env_state()
    env = env_of("task=Cartpole", "num_envs=3")
    env.reset()
    env.set_env_state(state)
    assert env.task.reset_buf.tolist() == [1, 1, 1]
