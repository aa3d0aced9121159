# SPDX-License-Identifier: Apache-2.0
"""The captured step on real physics, launched eagerly: it changes no bit, and a task's mistakes are named.

What only a GPU can show is in tests/test_cuda.py.
"""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, make_engine
from omni.myriad.env.capture import MaskedReset, Uses, tensors_of
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from omni.myriad.task.loader import load_task_class

# Starts by the default reset_idx, which draws nothing.
FIXED_STARTS = """
from omni.myriad import ObservationTerm, RLTask


class FixedStarts(RLTask):
    robot = "cartpole/cartpole.usda"
    robot_position = (0.0, 0.0, 2.0)
    num_actions = 1
    capturable = True

    def observation_terms(self):
        names = tuple(self.robots.dof_names)
        return [
            ObservationTerm("positions", source="joint_position", joint_names=names, offset=0.1, clip=(-0.4, 0.4)),
            ObservationTerm("velocities", source="joint_velocity", joint_names=names, scale=(0.5, 0.2)),
        ]

    def apply_actions(self, actions):
        self.robots.set_joint_efforts(100.0 * actions.expand(-1, 2))

    def get_observations(self):
        self.positions = self.robots.get_joint_positions(clone=False)
        self.observe({"positions": self.positions, "velocities": self.robots.get_joint_velocities(clone=False)})

    def calculate_metrics(self):
        self.rew_buf[:] = self.obs_buf.sum(-1)

    def is_done(self):
        self.time_out_buf &= self.positions[:, 0] < 0.1
        self.reset_buf[:] = (self.positions[:, 0] > 0.1) | self.time_out_buf
"""


class Again:
    """Launches eagerly: pretends to capture in the fourth call and to replay then, by calling the function again.

    Then nothing of what the function told the engine to send is left, as if nobody had called a view; and what it reads
    has to be there, as nothing can be waited for in a CUDA graph.
    """

    launched = 0

    def __init__(self, function, engine):
        self._function, self._calls = function, 0
        self._ledger = engine.ledger  # where PhysX keeps what waits to be sent
        Again.launched += 1

    @property
    def captured(self):
        return self._calls >= 4

    def __call__(self, inputs):
        with patch.object(self._ledger, "synchronize", self._refuse) if self._calls >= 3 else nullcontext():
            outputs = self._function(inputs)
        if self.captured:
            for quantity in self._ledger.pending:
                quantity.written()
            self._ledger.pending.clear()
        self._calls += 1
        return outputs

    @staticmethod
    def _refuse():
        raise RuntimeError("PhysX is asked for what was not read before: no CUDA graph can")


@pytest.fixture
def launched_env_of():
    """Build environments whose steps a launcher launches; closes them all."""
    envs = []

    def build(*overrides, launch: Any = Again, randomization: Any = None):
        config = load_config(["sim_device=cpu", *overrides])
        config["task"]["domain_randomization"] = {"randomize": True, "randomization_params": randomization}
        sim_config = SimConfig(config)
        engine = make_engine(sim_config)
        env = VecEnv(engine, sim_config, launch and (lambda function: launch(function, engine)))
        envs.append(env)
        task_class = load_task_class(config["task"]["name"], [Path(folder) for folder in config["task"]["task_path"]])
        env.set_task(task_class(name=config["task"]["name"], env=env))
        return env

    yield build
    for env in envs:
        env.close()


def roll_out(env, steps):
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    seen = [env.reset()["obs"].clone()]
    flags = []
    for _ in range(steps):
        actions = 2.0 * torch.rand((env.num_envs, env.num_actions), generator=generator) - 1.0
        obs, rewards, dones, extras = env.step(actions)
        seen.append(obs["obs"].clone())
        flags.append(torch.stack((rewards, dones.float(), extras["time_outs"].float())))
    return torch.stack(seen), torch.stack(flags)


@pytest.mark.usefixtures("views_take_nan")
@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_what_is_not_finite_is_set_aside_and_mended(launched_env_of, task):
    env = launched_env_of(f"task={task}", "num_envs=6", "engine.shards=2", "on_nan=reset")
    robots, nan = next(iter(env.engine.robots().values())), float("nan")
    env.reset()
    faulty, third = [], torch.tensor([3])
    for step in range(30):
        if step == 10:
            robots.set_world_poses(torch.full((1, 3), nan), torch.full((1, 4), nan), indices=third)
        if step == 20:
            env.mend(third)
        observed, rewards, dones, extras = env.step(torch.rand(6, env.num_actions) * 2 - 1)
        faulty.append(extras["faulty"].tolist())
        assert observed["obs"].isfinite().all() and rewards.isfinite().all()
        if faulty[-1][3]:
            assert dones[3] == 1 and not extras["time_outs"][3]
            assert not observed["obs"][3].any() and rewards[3] == 0
    assert env._before_graph.captured and env._after_graph.captured
    assert not any(any(row) for row in faulty[:10] + faulty[20:])
    assert faulty[10] == [False, False, False, True, False, False]
    # Ant's reset_idx writes the root, and so mends it in the next step; Cartpole's, whose root is fixed, does not.
    assert faulty[11:20] == [[False] * 3 + [task == "Cartpole"] + [False] * 2] * 9


def test_masked_and_plain_resets_are_the_same_from_fixed_starts(launched_env_of, tmp_path):
    (tmp_path / "fixed_starts.py").write_text(FIXED_STARTS)
    of = ("task=FixedStarts", f"task.task_path=[{tmp_path}]", "num_envs=6", "task.env.episodeLength=25")
    plain, captured = (roll_out(launched_env_of(*of, launch=launch), 80) for launch in (None, Again))
    dones, time_outs = plain[1][:, 1], plain[1][:, 2]
    assert (dones[4:].any(1) & ~dones[4:].all(1)).sum() > 5, "now these ended, now those"
    assert time_outs.any() and (dones > time_outs).any(), "both kinds of ends"
    for one, other in zip(plain, captured, strict=True):
        assert torch.equal(one, other)


def test_randomization_is_the_same_in_a_captured_step(launched_env_of, tmp_path):
    (tmp_path / "fixed_starts.py").write_text(FIXED_STARTS)
    of = ("task=FixedStarts", f"task.task_path=[{tmp_path}]", "num_envs=6", "task.env.episodeLength=25")

    def always(operation, number, **more):
        parameters = {"distribution": "uniform", "distribution_parameters": [number, number]}
        return {"operation": operation, **parameters, **more}

    params = {
        "observations": {"on_interval": always("additive", 0.25, frequency_interval=3)},
        "actions": {"on_reset": always("scaling", 0.5)},
        "latency": {"actions": [0.5, 0.5], "observations": [1.25, 1.25]},
        "sensors": {"positions": {"bias": [0.1, 0.1]}, "*": {"dropout": 0.2}},
        "articulation_views": {
            "robots": {
                "body_masses": {"on_reset": always("scaling", 1.5)},
                "payload": {"on_reset": always("additive", 0.7), "names": "*ole"},
                "damping": {"on_reset": always("additive", 0.2)},
                "joint_velocities": {"on_interval": always("additive", 0.1, frequency_interval=4)},
                "joint_positions": {"on_reset": always("additive", 0.05)},
                "joint_efforts": {
                    "on_reset": always("additive", 3.0),
                    "on_interval": always("scaling", 0.5, frequency_interval=5),
                },
            }
        },
        "simulation": {"gravity": {"on_interval": always("scaling", 1.1, frequency_interval=7)}},
    }
    plain, captured, without = (
        roll_out(launched_env_of(*of, launch=launch, randomization=randomization), 80)
        for launch, randomization in ((None, params), (Again, params), (Again, None))
    )
    assert plain[1][:, 1].any()
    for one, other, third in zip(plain, captured, without, strict=True):
        assert torch.equal(one, other) and not torch.equal(one, third)


# Resets under a mask draw for all environments in every step, so nothing else may draw meanwhile.
STILL = "task.env.resetPositionNoise=[[0,0],[0,0],[0,0]]"


def test_looks_are_drawn_in_a_captured_step_where_an_episode_begins(launched_env_of):
    on = ("task.visual_randomization.randomize=True", "task.env.cameraWidth=24", "task.env.cameraHeight=16")
    env = launched_env_of("task=CartpoleCamera", "num_envs=4", *on)
    env.reset()
    for _ in range(5):
        env.step(torch.zeros(4, 1))
    suns, gains = env.engine.ray_tracer().shading.suns, env.task.camera.gains
    before = suns.clone(), gains.clone()
    assert env._before_graph.captured and (suns[1:] != suns[:-1]).any(1).all()
    env.task.reset_buf[:] = torch.tensor([0, 1, 0, 0])
    env.step(torch.zeros(4, 1))
    for now, then in zip((suns, gains), before, strict=True):
        assert (now != then).flatten(1).any(1).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "task",
    [
        ("Ant",),
        ("Humanoid",),
        ("BallBalance",),
        ("Quadcopter",),
        ("Ingenuity", STILL),
        ("Crazyflie", "task.env.thrustNoise=0.0"),
        pytest.param(
            ("Anymal", "task.env.learn.terminationHeight=0.0"), marks=pytest.mark.nightly
        ),  # pip has to bring the robot
    ],
)
def test_capture_changes_no_bit(launched_env_of, task):
    name, *overrides = task
    of = (f"task={name}", "num_envs=6", "engine.shards=2", *overrides)
    plain, captured = (roll_out(launched_env_of(*of, launch=launch), 15) for launch in (None, Again))
    assert not plain[1][:, 1].any(), "nobody has ended, so nothing was drawn again"
    for one, other in zip(plain, captured, strict=True):
        assert torch.equal(one, other)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "task",
    ["FrankaReach", "FrankaCabinet", "FrankaLift", "FrankaStack", "AllegroHand", "ShadowHand", "Go1Velocity"],
)
def test_frames_markers_and_commands_change_no_bit_either(launched_env_of, task):
    histories = []
    for launch in (None, Again):
        torch.manual_seed(5)  # the points that targets are drawn from
        # A test has no noise, which would be drawn from the numbers that masked resets draw from.
        env = launched_env_of(f"task={task}", "num_envs=6", "engine.shards=2", "test=True", launch=launch)
        histories.append(roll_out(env, 25))
    assert not histories[0][1][:, 1].any(), "nobody has ended, so nothing was drawn again"
    for one, other in zip(*histories, strict=True):
        assert torch.equal(one, other)


@pytest.mark.nightly
def test_a_terrain_changes_no_bit_either_until_somebody_ends(launched_env_of):
    few = [f"task.env.terrain.{part}" for part in ("levels=2", "columns=4", "border=3.0", "start_levels=2")]
    of = ("task=AnymalTerrain", "num_envs=6", "engine.shards=2", "test=True", *few)
    histories = []
    for launch in (None, Again):
        torch.manual_seed(5)  # the tiles on which they start
        histories.append(roll_out(launched_env_of(*of, launch=launch), 10))
    plain, captured = histories
    assert not plain[1][:, 1].any()
    for one, other in zip(plain, captured, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("task", ["Ant", "Humanoid", "BallBalance", "Quadcopter", "Crazyflie"])
def test_who_ends_begins_anew_in_a_captured_step(launched_env_of, task):
    env = launched_env_of(f"task={task}", "num_envs=6", "task.env.episodeLength=12")
    _, flags = roll_out(env, 40)
    ends = flags[:, 1].all(1).nonzero().squeeze(1).tolist()
    # reset() took the first step; then every eleventh ends all episodes, and the next one starts them again.
    assert ends == [9, 20, 31]
    assert (env.task.progress_buf == 40 - 32).all()


def test_a_tensor_that_a_step_replaces_is_named(launched_env_of):
    env = launched_env_of("task=Ant", "num_envs=2")
    task, look = env.task, env.task.get_observations

    def replacing():
        look()
        task.prev_potentials = task.prev_potentials.clone()

    task.get_observations = replacing
    with pytest.raises(MyriadError, match=r"replaces self\.prev_potentials: write self\.prev_potentials\[:\] = "):
        roll_out(env, 5)


def test_what_reset_idx_may_not_change_is_named_in_the_first_step(launched_env_of):
    env = launched_env_of("task=Ant", "num_envs=2")
    task, reset_idx = env.task, env.task.reset_idx
    task.episodes = torch.zeros(())

    def counting(env_ids):
        reset_idx(env_ids)
        task.episodes += len(env_ids)

    task.reset_idx = counting
    with pytest.raises(MyriadError, match=r"it changes self\.episodes: set capturable = False"):
        env.reset()


def test_what_cannot_be_captured_is_said(launched_env_of):
    class Refusing(Again):
        def __call__(self, inputs):
            if self._calls == 2:
                raise RuntimeError("operation not permitted when stream is capturing\nand more")
            return super().__call__(inputs)

    env = launched_env_of("task=Cartpole", "num_envs=2", launch=Refusing)
    with pytest.raises(MyriadError, match=r"Cartpole says it is capturable, .* when stream is capturing Set capt"):
        roll_out(env, 5)


def test_what_a_graph_looks_at_is_there_after_several_calls_of_step(launched_env_of, tmp_path):
    twice = "    def step_physics(self):\n        self.world.step()\n        self.world.step()\n"
    (tmp_path / "fixed_starts.py").write_text(FIXED_STARTS + "\n" + twice)
    of = ("task=FixedStarts", f"task.task_path=[{tmp_path}]", "num_envs=2")
    plain, captured = (roll_out(launched_env_of(*of, launch=launch), 8) for launch in (None, Again))
    for one, other in zip(plain, captured, strict=True):
        assert torch.equal(one, other)


def test_only_what_promises_it_is_captured(launched_env_of, tmp_path):
    (tmp_path / "fixed_starts.py").write_text(FIXED_STARTS.replace("capturable = True", "capturable = False"))
    before = Again.launched
    roll_out(launched_env_of("task=FixedStarts", f"task.task_path=[{tmp_path}]", "num_envs=2"), 4)
    assert Again.launched == before
    roll_out(launched_env_of("task=Cartpole", "num_envs=2"), 4)
    assert Again.launched == before + 2, "what comes before physics, and what comes after"


@pytest.fixture
def env(env_of):
    env = env_of("task=Ant", "num_envs=6", "engine.shards=2")
    torch.manual_seed(0)
    env.reset()
    for _ in range(10):
        env.step(torch.rand(6, 8) * 2.0 - 1.0)
    env.task.reset_buf.zero_()
    return env


def seen(task):
    ants = task.robots
    state = (*ants.get_world_poses(), ants.get_velocities(), ants.get_joint_positions(), ants.get_joint_velocities())
    return [tensor.clone() for tensor in (*state, task.potentials, task.progress_buf)]


def test_who_ended_begins_anew_and_nobody_else_notices(env):
    task = env.task
    reset = MaskedReset(task, env.engine.capture)
    for ended in ([1, 4], [0, 1, 2, 3, 4, 5], [], [5]):
        for _ in range(5):
            env.step(torch.rand(6, 8) * 2.0 - 1.0)
        before = seen(task)
        task.reset_buf[ended] = 1
        reset()
        assert not task.reset_buf.any()
        others = [index for index in range(6) if index not in ended]
        for was, now in zip(before, seen(task), strict=True):
            torch.testing.assert_close(now[others], was[others], atol=1e-6, rtol=1e-6)
        positions, rotations = task.robots.get_world_poses()
        torch.testing.assert_close(positions[ended], task.initial_root_pos[ended])
        torch.testing.assert_close(rotations[ended], task.initial_root_rot[ended])
        assert (task.robots.get_joint_positions()[ended] - task.initial_dof_pos[ended]).abs().sum() <= 0.2 * 8 * len(
            ended
        )
        assert (task.progress_buf[ended] == 0).all() and (task.progress_buf[others] > 0).all()


def test_it_does_what_reset_idx_does(env):
    task, ended = env.task, [0, 3]
    state = env.get_env_state()
    everyone = torch.arange(6)
    torch.manual_seed(7)
    task.reset_idx(everyone)
    expected = [tensor[ended] for tensor in seen(task)]
    env.set_env_state(state)
    torch.manual_seed(7)
    task.reset_buf[ended] = 1
    MaskedReset(task, env.engine.capture)()
    for one, other in zip(expected, seen(task), strict=True):
        torch.testing.assert_close(other[ended], one)


def test_a_tensor_without_a_row_for_each_environment_is_named(env):
    task, reset_idx = env.task, env.task.reset_idx
    task.episodes = torch.zeros(())

    def counting(env_ids):
        reset_idx(env_ids)
        task.episodes += len(env_ids)

    task.reset_idx = counting
    with pytest.raises(
        MyriadError, match=r"only tensors with a row for each environment, and it changes self\.episodes"
    ):
        MaskedReset(task, env.engine.capture)()


def test_a_tensor_that_is_assigned_anew_is_named(env):
    task, reset_idx = env.task, env.task.reset_idx

    def assigning(env_ids):
        reset_idx(env_ids)
        task.potentials = task.potentials.clone()

    task.reset_idx = assigning
    with pytest.raises(MyriadError, match=r"replaces self.potentials: write self.potentials\[env_ids\] = "):
        MaskedReset(task, env.engine.capture)()


def test_tensors_in_dictionaries_are_told_apart_too(env):
    task, reset_idx = env.task, env.task.reset_idx
    task.sums = {"air_time": [torch.arange(6.0)]}

    def clearing(env_ids):
        reset_idx(env_ids)
        task.sums["air_time"][0][env_ids] = -1.0

    task.reset_idx = clearing
    task.reset_buf[2] = 1
    MaskedReset(task, env.engine.capture)()
    assert task.sums["air_time"][0].tolist() == [0.0, 1.0, -1.0, 3.0, 4.0, 5.0]


def test_a_tasks_tensors_are_found_by_name():
    task = SimpleNamespace(a=torch.zeros(1), b={"x": [torch.ones(2), 3]}, c="text", d=(torch.zeros(3),))
    assert list(tensors_of(cast(Any, task))) == ["self.a", "self.b['x'][0]", "self.d[0]"]


def test_what_torch_is_called_with_is_found():
    tensors = {name: torch.ones(3) for name in ("read", "written", "indexed", "listed", "idle")}
    with Uses(tensors) as uses:
        one = tensors["read"] + 1.0
        tensors["written"].add_(one)
        one[:] = tensors["indexed"][0]
        assert tensors["idle"].shape == (3,) and tensors["idle"].is_floating_point() and len(tensors["idle"]) == 3
        torch.stack([one, tensors["listed"]], out=torch.empty(2, 3))
    assert set(uses.found) == {"read", "written", "indexed", "listed"}
