# SPDX-License-Identifier: Apache-2.0
"""RLTask's contract, on real physics: the tutorial class of OmniIsaacGymEnvs, buffers, time-outs, mistakes."""

import textwrap
from pathlib import Path

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import train
from omni.myriad.errors import MyriadError
from omni.myriad.task.buffers import Rewards

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


# What a beginner writes: a robot's file and three methods.
BALANCE = """
import torch
from omni.myriad import RLTask


class Balance(RLTask):
    robot = "cartpole/cartpole.usda"
    robot_position = (0.0, 0.0, 2.0)
    num_observations = 4
    num_actions = 1

    def pre_physics_step(self, actions):
        self.robots.set_joint_efforts(torch.nn.functional.pad(400.0 * actions, (0, 1)))

    def get_observations(self):
        self.obs_buf[:] = torch.cat((self.robots.get_joint_positions(), self.robots.get_joint_velocities()), dim=-1)

    def calculate_metrics(self):
        self.rew_buf[:] = 1.0 - self.obs_buf[:, 1] ** 2
"""

# The same with terms in the place of sizes.
NAMED = """
from omni.myriad import ActionTerm, ImageTerm, ObservationTerm, RLTask


class Named(RLTask):
    robot = "cartpole/cartpole.usda"

    def action_terms(self):
        return [ActionTerm("effort", ("cartJoint",), 400.0, unit="N")]

    def post_reset(self):
        assert self.num_actions == 1
        self.joints = tuple(self.robots.dof_names)

    def observation_terms(self):
        return [ObservationTerm("joints", source="joint_position", joint_names=self.joints)]

    def apply_actions(self, actions):
        pass

    def get_observations(self):
        self.observe({"joints": self.robots.get_joint_positions()})

    def calculate_metrics(self):
        self.rew_buf.fill_(1.0)
"""


def test_three_methods_and_a_robots_file_suffice(task_of):
    env = task_of(BALANCE, "task.env.episodeLength=9")
    robots, start = env.task.robots, env.task.robots.get_world_poses()
    env.reset()
    assert env.task.reset_buf.tolist() == [0, 0, 0]
    for step in range(8):
        obs, _, dones, extras = env.step(torch.ones(3, 1))
        assert dones.tolist() == [int(step == 6)] * 3
    assert extras["time_outs"].tolist() == [False] * 3
    # The eighth step put all back and pushed them for the first time.
    assert env.task.progress_buf.tolist() == [1, 1, 1]
    assert (obs["obs"][:, 0].abs() < 0.1).all() and (obs["obs"][:, 0] > 0.0).all()
    env.task.reset_idx(torch.tensor([1]))
    assert robots.get_joint_positions()[1].tolist() == [0.0, 0.0] and robots.get_joint_positions()[0, 0] > 0.0
    for before, after in zip(start, robots.get_world_poses(), strict=True):
        torch.testing.assert_close(after, before)


def readme_task() -> str:
    """Return the README's task: the tutorial's class as it is written, with its blanks filled."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    blocks = (block.partition("```")[0] for block in readme.split("```python\n")[1:])
    return next(block for block in blocks if "class MyRobotTask" in block)


def test_the_tutorials_class_needs_nothing_but_its_robot(task_of):
    env = task_of(readme_task(), "task.env.episodeLength=9")
    task = env.task
    assert (task.num_observations, env.num_actions) == (4, 2) and env.observation_space.shape == (4,)
    assert task.robot is task.robots and task.robot.dof_names == ["cartJoint", "poleJoint"]
    env.reset()
    for step in range(8):
        obs, rewards, dones, extras = env.step(torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]))
        assert dones.tolist() == [int(step == 6)] * 3 == extras["time_outs"].int().tolist()
        torch.testing.assert_close(rewards, 1.0 - (obs["obs"][:, 0] - 0.5).abs(), rtol=0.0, atol=1e-6)
    assert obs["obs"][0, 0] > 0.0 > obs["obs"][2, 0] and rewards[0] > rewards[2]
    # The eighth step put all back and pushed them for the first time: one period from rest, at 1 N.
    assert task.progress_buf.tolist() == [1, 1, 1] and (obs["obs"][:, 0].abs() < 1e-3).all()


def test_the_tutorials_class_learns(tmp_path):
    (tmp_path / "my_robot_task.py").write_text(readme_task())
    where = [f"task.task_path=[{tmp_path}]", f"train_dir={tmp_path}", "experiment=run", "sim_device=cpu"]
    short = ["max_iterations=40", "num_envs=64", "task.env.episodeLength=125"]
    learner = ["horizon_length=32", "minibatch_size=1024"]
    settings = [*where, *short, *(f"train.params.config.{setting}" for setting in learner)]
    summary = train(load_config(["task=MyRobotTask", *settings]))
    # A cart that stays where it is gets half a point a step.
    assert summary["reward_mean"] > 0.6 * 124


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("self.obs_buf[...] = ", "self.obs_buf[:, 0] = "), "does not say its num_observations.*write all at once"),
        (("self.obs_buf[...] = ", "self.obs_buf[...] += "), "does not say its num_observations"),
    ],
)
def test_what_cannot_be_inferred_is_named(task_of, edit, message):
    with pytest.raises(MyriadError, match=message):
        task_of(readme_task(), edit=edit).reset()


@pytest.mark.parametrize("column", [True, False])
def test_rewards_are_written_as_a_column_or_a_vector(column):
    rewards = torch.zeros(3).as_subclass(Rewards)
    rewards[:] = torch.tensor([1.0, 2.0, 3.0]).unsqueeze(-1) if column else torch.tensor([1.0, 2.0, 3.0])
    assert rewards.tolist() == [1.0, 2.0, 3.0] and type(rewards * 2) is torch.Tensor
    rewards[1:] = 5.0
    assert rewards.tolist() == [1.0, 5.0, 5.0]


def test_the_default_reset_puts_a_free_robot_back_at_rest(env_of, tmp_path):
    text = BALANCE.replace("Balance", "Walk").replace("cartpole/cartpole", "ant/ant").replace("2.0)", "0.5)")
    text = text.replace("num_observations = 4", "num_observations = 16").replace(
        "torch.nn.functional.pad(400.0 * actions, (0, 1))", "7.5 * actions.expand(-1, 8)"
    )
    (tmp_path / "walk.py").write_text(text)
    env = env_of("task=Walk", f"task.task_path=[{tmp_path}]", "num_envs=3")
    ants = env.task.robots
    start = [*ants.get_world_poses(), ants.get_joint_positions()]
    env.reset()
    for _ in range(20):
        env.step(torch.ones(3, 1))
    moved = [*ants.get_world_poses(), ants.get_joint_positions()]
    assert all((a - b).abs().max() > 0.05 for a, b in zip(moved, start, strict=True))
    env.task.reset_idx(torch.tensor([0, 2]))
    for was, gone, now in zip(start, moved, (*ants.get_world_poses(), ants.get_joint_positions()), strict=True):
        torch.testing.assert_close(now[[0, 2]], was[[0, 2]])
        torch.testing.assert_close(now[1], gone[1])
    assert not ants.get_velocities()[[0, 2]].any() and not ants.get_joint_velocities()[[0, 2]].any()


def test_a_free_robot_is_put_where_it_was_authored_whatever_moved_it_before(env_of, tmp_path):
    text = BALANCE.replace("Balance", "Walk").replace("cartpole/cartpole", "ant/ant").replace("2.0)", "0.5)")
    (tmp_path / "walk.py").write_text(text)
    env = env_of("task=Walk", f"task.task_path=[{tmp_path}]", "num_envs=3")
    robots = env.task.robots
    robots.set_velocities(torch.full((3, 6), 2.0))
    env.engine.step(5)  # as Isaac Sim does before anybody can write a state
    robots.start()
    positions, orientations = robots.get_world_poses()
    authored = env.engine.env_positions + torch.tensor([0.0, 0.0, 0.5])
    torch.testing.assert_close(positions, authored, rtol=0.0, atol=1e-6)
    torch.testing.assert_close(orientations, torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 3), rtol=0.0, atol=1e-6)
    assert not robots.get_velocities().any()


def test_sizes_follow_from_terms(task_of):
    env = task_of(NAMED)
    assert (env.task.num_observations, env.num_actions, env.num_states) == (2, 1, 0)
    assert env.observation_space.shape == (2,) and env.action_space.shape == (1,) and env.state_space is None
    assert env.reset()["obs"].shape == (3, 2)
    env.task.cleanup()
    env.task.reset_buf.zero_()
    env.task.robots.set_joint_positions(torch.full((3, 2), 0.5))
    assert env.step(torch.zeros(3, 1))[0]["obs"].shape == (3, 2)
    assert env.task.obs_buf.any(), "after cleanup the new buffer is filled"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            ('"cartpole/cartpole.usda"', '"cartpole/cartpole.usda"\n    num_observations = 3'),
            "The Named observation terms add up to 2 numbers where the task has 3: joints 2",
        ),
        (
            ('"cartpole/cartpole.usda"', '"cartpole/cartpole.usda"\n    num_actions = 2'),
            "The Named action terms add up to 1 numbers where the task has 2: joint_effort 1",
        ),
        (('return [ActionTerm("effort", ("cartJoint",), 400.0, unit="N")]', "return []"), "does not say its num_act"),
        (
            ("    def post", "    def state_terms(self):\n        return [ImageTerm('x', (2, 2, 3))]\n\n    def post"),
            "Task Named: state_terms has a picture, but the critic sees a vector",
        ),
        (("{", "{'speed': self.rew_buf, "), "Task Named observes speed, which is no term; its terms are: joints"),
        (('{"joints"', '{"joint"'), "Task Named observes joint, which is no term; its terms are: joints"),
        (('{"joints": self.robots.get_joint_positions()}', "{}"), "Named observation term joints is missing"),
        (("get_joint_positions()}", "get_world_poses()[0]}"), r"joints must have shape \(3, 2\), got \(3, 3\)"),
    ],
)
def test_what_terms_do_not_fit_is_named(task_of, edit, message):
    with pytest.raises(MyriadError, match=message):
        task_of(NAMED, edit=edit).reset()


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
    before = [t.clone() for t in (*env.task.robots.get_world_poses(), env.task.robots.get_joint_positions())]
    for _ in range(20):
        env.step(torch.rand(4, 8) * 2 - 1)
    env.set_env_state(state)
    after = [*env.task.robots.get_world_poses(), env.task.robots.get_joint_positions()]
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
