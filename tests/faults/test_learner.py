# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in one environment for one step, and what becomes of the training."""

import csv
import itertools
import math

import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint, run
from omni.myriad.learn.fault import load_fault
from omni.myriad.learn.rl_games.learner import make_learner
from omni.myriad.learn.rl_games.normalizer import FARTHEST, RunningMeanStd
from omni.myriad.learn.rl_games.rollout import MOST_REWARD
from tests.faults.spoil import spoil_before, spoil_joints, spoil_root
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train

HUGE, NAN = 1e20, float("nan")


def huge_observation(obs, _rewards):
    obs[3, 1] = HUGE


def huge_reward(_obs, rewards):
    rewards[3] = -HUGE


def all_huge(obs, rewards):
    obs[:, 2], rewards[:] = HUGE, HUGE


def state_of(folder, name):
    return checkpoint.load(folder / "checkpoints" / f"{name}.pth")


# -- huge, but finite -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learner", "spoil", "at"),
    [
        *itertools.product(
            ["mlp"], [huge_observation, huge_reward, all_huge], [5, 165]
        ),  # in the first epoch, or later
        ("lstm", huge_observation, 165),
        ("asymmetric", huge_observation, 165),
        ("asymmetric", huge_reward, 165),
    ],
)
def test_training_goes_on_to_learn(tmp_path, learner, spoil, at):
    env = CartPoleEnv(32, 100, with_states=learner == "asymmetric")
    env.poison[at] = spoil
    # A pole that nobody balances falls after 20 to 30 steps; a reward is 1 for each.
    summary = train(make_cfg(env, max_iterations=45, rnn=learner == "lstm"), env, tmp_path)
    assert summary["status"] == "finished"
    assert 60 < summary["reward_mean"] <= summary["reward_best"] <= 100
    for name in ("best", "last"):
        state = state_of(tmp_path, name)
        model = state["model"] | state.get("assymetric_vf_nets", {})
        assert all(tensor.isfinite().all() for tensor in model.values())
        deviations = [tensor.sqrt() for key, tensor in model.items() if key.endswith("running_mean_std.running_var")]
        most = 100 if spoil is all_huge else 10
        assert deviations and max(float(deviation.max()) for deviation in deviations) < most, "it is blind"


def test_a_reward_that_is_none_is_said(tmp_path, caplog):
    env = CartPoleEnv(32)
    env.poison[20] = huge_reward
    train(make_cfg(env, max_iterations=3), env, tmp_path)
    assert (
        caplog.messages.count("epoch 2: 1 reward(s) beyond 1,000,000 counted as 0: scale or clip them in the task") == 1
    )
    assert MOST_REWARD == 1e6


def test_one_sample_moves_the_statistics_as_little_as_one_can():
    # 1000 samples of 1 and -1 have mean 0 and deviation 1, and so commonly are 1 away. An absurd one, whose
    # logarithm is 46, adds 5 % to that and counts as one that is FARTHEST * (1 + 1.1) away: a variance of 210^2 / 1000.
    samples = torch.tensor([1.0, -1.0]).repeat(500).unsqueeze(1)
    plain, spoiled = RunningMeanStd((1,)), RunningMeanStd((1,))
    plain.update(samples)
    spoiled.update(torch.cat([samples, torch.tensor([[HUGE]])]))
    assert float(spoiled.running_var) == pytest.approx((2.1 * FARTHEST) ** 2 / 1000, rel=0.03)
    assert float(plain.running_var) == pytest.approx(1)
    assert float(spoiled.running_mean) == pytest.approx(2.1 * FARTHEST / 1000, rel=0.03)


def test_statistics_follow_what_all_samples_do():
    torch.manual_seed(0)
    normalizer = RunningMeanStd((2,))
    normalizer.update(torch.randn(256, 2))
    before = (normalizer.running_mean.clone(), normalizer.running_var.clone())
    samples = torch.randn(256, 2) * 1e4 + 1e7  # another unit from now on, for every environment
    mean, var = samples.double().mean(0), samples.double().var(0, unbiased=False)
    normalizer.update(samples)
    torch.testing.assert_close(normalizer.running_mean, (before[0] * 257 + mean * 256) / 513)
    between = (mean - before[0]) ** 2 * 257 * 256 / 513
    torch.testing.assert_close(normalizer.running_var, (before[1] * 257 + var * 256 + between) / 513, rtol=1e-4, atol=0)


def test_statistics_that_are_not_finite_are_no_end_of_a_training(tmp_path):
    # Where nothing clips observations, and they stay absurd in most environments, squares are beyond float32.
    env = CartPoleEnv(4, 100)
    for step in range(200):
        env.poison[step] = lambda obs, _: obs[:, 1].fill_(HUGE)
    with pytest.raises(MyriadError, match=r"weight running_mean_std\.running_var is not finite after the update"):
        train(make_cfg(env, max_iterations=5), env, tmp_path)
    assert not (tmp_path / "checkpoints/best.pth").exists()


def test_any_number_but_0_ends_an_episode(env_of):
    env = env_of("task=Cartpole", "num_envs=4", "engine.shards=1")
    env.reset()
    task = env.task
    own = task.is_done

    def is_done():
        own()
        task.reset_buf[1], task.reset_buf[2] = 7, -1

    task.is_done = is_done
    *_, dones, _ = env.step(torch.zeros(4, 1))
    assert dones.tolist() == [0, 1, 1, 0]


def test_nothing_is_observed_beyond_what_a_learner_can_square(env_of):
    env = env_of("task=Ant", "num_envs=2", "engine.shards=1")
    env.reset()
    own = env.task.get_observations

    def get_observations():
        own()
        env.task.obs_buf[1, 4] = HUGE

    env.task.get_observations = get_observations
    observed, *_ = env.step(torch.zeros(2, 8))
    assert observed["obs"][1, 4] == 1e6 and math.isfinite(float(observed["obs"].square().sum()))


@pytest.mark.parametrize(("what", "said"), [(math.inf, 1), (-math.inf, 1), (HUGE, 0)])
def test_an_infinite_observation_that_is_clipped_is_said_once(env_of, tmp_path, caplog, what, said):
    env = env_of("task=Cartpole", "num_envs=8", "engine.shards=1", "task.env.clipObservations=5")
    own, steps = env.task.get_observations, itertools.count()

    def get_observations():
        own()
        if next(steps) in (5, 40, 41):  # in the first and the third of four epochs
            env.task.obs_buf[3, 2] = what

    env.task.get_observations = get_observations
    run.train(env.sim_config.config | {"max_iterations": 4}, env, tmp_path)
    lines = [message for message in caplog.messages if "infinite" in message]
    assert len(lines) == said and all("was clipped to clipObservations=5: with" in line for line in lines)


# -- a task that gives nothing to learn from --------------------------------------------------------------------------


def never_ends(task):
    task.is_done = lambda: task.reset_buf.zero_()


def ends_at_once(task):
    own = task.reset_idx

    def reset_idx(env_ids):
        own(env_ids)
        task.reset_buf[env_ids] = 1  # of OmniIsaacGymEnvs' mistakes the commonest: it is never cleared

    task.reset_idx, task.is_done = reset_idx, lambda: None


def ends_together(task):
    own = task.is_done

    def is_done():
        own()
        task.reset_buf[:] = task.reset_buf.any()

    task.is_done = is_done


def rewards_nothing(task):
    own = task.calculate_metrics

    def calculate_metrics():
        own()
        task.rew_buf[:] = 0.0

    task.calculate_metrics = calculate_metrics


def rewards_the_same(task):
    task.calculate_metrics = lambda: task.rew_buf.fill_(2.0)
    task.is_done = lambda: task.reset_buf.copy_(task.time_out_buf)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            never_ends,
            "no episode has ended in 48 steps, though episodeLength is 40: is_done must write 1 into reset_buf",
        ),
        (
            ends_at_once,
            "every episode ends with its first step: reset_idx must write 0 into reset_buf and progress_buf",
        ),
        (
            ends_together,
            "all 8 environments have ended in the same step, 4 times: is_done must decide for each of them",
        ),
        (rewards_nothing, "every reward of 5 epochs was 0 as the learner sees it: calculate_metrics must write more"),
        (
            rewards_the_same,
            "every reward of 5 epochs was 0.2 as the learner sees it: calculate_metrics must write more",
        ),
        (lambda task: None, ""),
    ],
    ids=["never ends", "ends at once", "end together", "rewards nothing", "rewards the same", "sound"],
)
def test_a_task_that_gives_nothing_to_learn_from_is_told_what_to_change(env_of, tmp_path, caplog, spoil, said):
    # Cartpole on PhysX falls within its 40 steps often, but not always; its rewards are scaled by 0.1.
    env = env_of("task=Cartpole", "num_envs=8", "engine.shards=1", "task.env.episodeLength=40")
    spoil(env.task)
    config = env.sim_config.config
    config["train"]["params"]["config"]["reward_shaper"]["scale_value"] = 0.1
    run.train(config | {"max_iterations": 12}, env, tmp_path)
    advice = [record.message for record in caplog.records if record.name.endswith("advice")]
    assert len(advice) == bool(said) and all(line.startswith(said) for line in advice), advice


# -- on_nan=reset -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("views_take_nan")
@pytest.mark.parametrize(
    ("engine", "task", "spoil"),
    [
        ("physx", "Cartpole", spoil_root),
        ("physx", "Cartpole", spoil_joints),
        ("physx", "Ant", spoil_root),
        ("physx", "BallBalance", spoil_joints),
        ("newton", "Cartpole", spoil_joints),
        ("newton", "Ant", spoil_root),
    ],
)
def test_physics_that_is_not_finite_is_reset_and_not_learned_from(env_of, tmp_path, caplog, engine, task, spoil):
    shards = ["engine.shards=1"] if engine == "physx" else []
    env = env_of(f"task={task}", f"engine={engine}", "num_envs=16", "on_nan=reset", *shards)
    noted = spoil_before(env, {40}, spoil)  # in the third epoch of 16 steps; the first call is the reset
    config = env.sim_config.config | {"max_iterations": 6}
    summary, _ = run.train(config, env, tmp_path)
    assert summary["status"] == "finished"
    # It is noticed at once, in that environment alone, and over by the end of the epoch.
    assert noted[40] == [3] and {tuple(ids) for ids in noted} == {(), (3,)}
    assert all(ids == [] for ids in noted[49:])
    lost = [message for message in caplog.messages if "not finite" in message]
    assert lost == ["epoch 3: environment 3 was not finite: reset, and not learned from"]
    assert [row["faults"] for row in read_csv(tmp_path)] == ["0", "0", "1", "0", "0", "0"]
    assert all(tensor.isfinite().all() for tensor in state_of(tmp_path, "last")["model"].values())
    for view in env.engine.get_state().values():
        assert all(value.isfinite().all() for value in view.values())


def read_csv(folder):
    with (folder / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("learner", ["mlp", "lstm", "asymmetric lstm", "discrete"])
def test_a_faulty_environment_leaves_no_trace_in_the_batch(tmp_path, learner):
    # Twice the same, but that in the second run environment 3 is faulty for two steps: nothing of it is in the batch,
    # in which environment 3 now has the record of environment 4 (3 modulo the 15 others is their fourth).
    batches = []
    for faulty in (False, True):
        env = Faulty(16, 30, discrete=learner == "discrete", with_states="asymmetric" in learner)
        env.steps_of = {5, 6} if faulty else set()
        made = make_learner(make_cfg(env, rnn="lstm" in learner), env, tmp_path)
        made.prepare()
        batch = made.rollout.play()
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor) and value.dim()}
        batches.append({name: value.view(16, 16, -1) for name, value in tensors.items()})  # env, step, ...
        assert made.rollout.faulty == ([3] if faulty else [])
        assert env.mended == ([[]] if faulty else [])
        lengths = made.rollout.episodes.running[3, 2]
        assert lengths == (16 - 7 if faulty else 16) or made.rollout.episodes.finished[3] > 0
    sound, spoiled = batches
    assert {"obses", "returns", "actions", "values"} <= set(sound)
    others = [env_id for env_id in range(16) if env_id != 3]
    for name in sound:
        assert torch.equal(sound[name][others], spoiled[name][others]), name
        assert torch.equal(spoiled[name][3], spoiled[name][4]), name


class Faulty(CartPoleEnv):
    """Says of environment 3 that it is faulty in the steps `steps_of`, as a `VecEnv` with on_nan=reset does."""

    steps_of: frozenset[int] | set[int] = frozenset()

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.mended = []

    def step(self, actions):
        observations, rewards, dones, extras = super().step(actions)
        faulty = torch.zeros(self.num_envs, dtype=torch.bool)
        faulty[3] = self.steps in self.steps_of
        rewards[faulty], dones = 0.0, dones | faulty
        return observations, rewards, dones, extras | {"faulty": faulty}

    def mend(self, env_ids):
        self.mended.append(env_ids.tolist())


@pytest.mark.parametrize(
    ("env_ids", "said"),
    [
        (
            [0, 1],
            "epoch 1: numbers of 2 of 16 environments were not finite in one epoch, among them 0, 1: that is more",
        ),
        ([5], "epoch 10: environment 5 was not finite in 10 epochs in a row: no reset helps"),
    ],
)
def test_too_many_faults_end_the_training(env_of, tmp_path, env_ids, said):
    env = env_of("task=Cartpole", "num_envs=16", "engine.shards=1", "on_nan=reset")
    own = env.task.calculate_metrics

    def calculate_metrics():
        own()
        env.task.rew_buf[env_ids] = NAN

    env.task.calculate_metrics = calculate_metrics
    with pytest.raises(MyriadError, match=said):
        run.train(env.sim_config.config | {"max_iterations": 50}, env, tmp_path)


# -- on_nan=stop ------------------------------------------------------------------------------------------------------


def make_blind_beyond(env):
    """Make an error of environments whose pole leans far: a square root of what is negative there."""
    task, own = env.task, env.task.get_observations

    def get_observations():
        own()
        task.obs_buf[:, 3] *= torch.sqrt(0.5 - task.obs_buf[:, 2].abs()).clamp(max=1.0)

    task.get_observations = get_observations


@pytest.fixture
def stopped(env_of, tmp_path):
    """The record of a training that such an error ended, and what was said of it."""
    env = env_of("task=Cartpole", "num_envs=8", "engine.shards=1")
    make_blind_beyond(env)
    with pytest.raises(MyriadError) as caught:
        run.train(env.sim_config.config | {"max_iterations": 20}, env, tmp_path)
    [path] = (tmp_path / "faults").iterdir()
    return path, str(caught.value)


def test_a_stopped_training_leaves_the_last_steps_which_can_be_replayed_and_filmed(stopped, env_of, capsys):
    path, said = stopped
    fault = load_fault(path)
    assert f"observation is not finite in environment {fault.about['env_id']}, column 3" in said
    assert f"its last steps are in {path}" in said
    assert len(fault.observations) == fault.about["step"] and not fault.dones[1:].any()

    def build(config):
        env = env_of("task=Cartpole", "num_envs=1", "engine.shards=1")
        make_blind_beyond(env)
        assert config["task"]["env"]["numEnvs"] == 1
        return env

    config = load_config(["task=Cartpole", f"fault={path}", "video=True", "sim_device=cpu"])
    result = runs.play(config, build)
    # One robot at another place takes the same steps to the same end.
    assert result["not_finite_after"] == result["steps"] == fault.about["step"]
    assert path.with_suffix(".mp4").stat().st_size > 1000
    assert f"not finite after step {result['steps']} of {result['steps']}; film: " in capsys.readouterr().out


def test_what_cannot_be_replayed_is_said(stopped):
    path, _ = stopped
    config = load_config(["task=Ant", f"fault={path}", "sim_device=cpu"])
    with pytest.raises(MyriadError, match="is of the task Cartpole, not Ant: give task=Cartpole"):
        runs.play(config)
    fault = load_fault(path)
    fault.dones[-1] = True
    fault.save(path.parents[1])
    config = load_config(["task=Cartpole", f"fault={path}", "sim_device=cpu"])
    with pytest.raises(MyriadError, match="an episode of it began amid its record, at a start that was not kept"):
        runs.play(config)
    for content in (b"", path.read_bytes()[:300], b"PK" + bytes(200)):
        path.write_bytes(content)
        with pytest.raises(MyriadError, match="is no fault that a training has written, or is damaged"):
            runs.play(config)
