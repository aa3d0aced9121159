# SPDX-License-Identifier: Apache-2.0
"""The Factory tasks: numbers of OmniIsaacGymEnvs' own files in the same states, and hands that do it in PhysX.

Their commit f8f91bc was given the Jacobians, mass matrices and poses of these environments: the first environment's
observation and efforts, the sum of each environment's, rewards.
"""

import math
from typing import Any

import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_rotate
from omni.myriad.task.fasteners import M16
from omni.myriad.task.operational_space import pose_errors

N = 3
# Fields fine enough for what a test needs: fingers press on flat sides; a thread jams from half a millimetre on.
FIELDS = {"Pick": 16, "Place": 16, "Screw": 128}


@pytest.fixture(scope="module")
def make():
    """Return environments by the task's last word, each made once."""
    made: dict[str, Any] = {}

    def of(word):
        if word not in made:
            sizes = f"num_envs={N}", f"task.env.sdfResolution={FIELDS[word]}"
            config = load_config([f"task=FactoryNutBolt{word}", "sim_device=cpu", "engine.shards=1", *sizes])
            made[word] = runs.make_env(config)
        return made[word]

    yield of
    for env in made.values():
        env.close()


def ramp(shape, scale, shift):
    """Return numbers that are easily made again: sines of whole numbers."""
    count = torch.Size(shape).numel()
    return (scale * torch.sin(torch.arange(1.0, count + 1.0) + shift)).view(shape)


NUMBERS = {
    "Pick": (
        "0.372481 -0.020787 0.757545 -0.172144 -0.022331 0.970429 -0.167739 0.130385 -0.047803 0.094532 0.173520 "
        "0.354899 0.188058 0.076430 0.091223 0.635245 0.171329 0.217086 0.960468 0.031947",
        [4.794774, 3.113122, 3.762960],
        [-1.431040, -1.411136, -1.143380],
        "1.441244 -2.865436 -9.957034 2.423035 -0.683858 0.107184 0.051393 5.412646 5.606780",
        [28.548611, 43.957249, 32.503189],
    ),
    "Place": (
        "0.053744 0.058659 0.754897 -0.213992 0.019067 0.974098 -0.070552 0.087428 -0.023397 0.152721 0.131827 "
        "0.267857 0.255702 0.084147 0.090930 0.614112 0.960468 0.031947 -0.171329 -0.217086 0.049468 0.020606 "
        "0.372799 1.000000 0.000000 0.000000 0.000000",
        [5.284121, 4.733827, 5.325326],
        [-0.947263, -0.768059, -1.097058],
        "-5.945237 -1.570472 -8.926984 0.708233 -0.631993 0.002011 0.048865 -2.587353 -2.393220",
        [22.814367, 48.074642, 16.807713],
    ),
    "Screw": (
        "0.008573 0.074289 0.619266 -0.214511 0.056769 0.972068 -0.076461 0.038479 0.000181 0.179901 0.125019 "
        "0.267968 0.206522 0.076430 0.091223 0.635245 0.960468 0.031947 -0.171329 -0.217086 0.077357 -0.379266 "
        "-0.476968 -0.139708 0.328493 0.494679 0.000000 0.000000 0.000000 0.000000 0.000000 0.000000",
        [3.569548, 3.291156, 3.420944],
        [-1.090249, -1.846798, -1.561191],
        "-0.653581 2.160324 -0.622306 -2.340821 -0.188132 -0.509764 0.592918 -5.657622 -4.408290",
        [17.133759, 6.733141, 12.644566],
    ),
}


@pytest.mark.parametrize("word", NUMBERS)
def test_observations_rewards_and_efforts_are_those_of_omniisaacgymenvs(make, word):
    env = make(word)
    task = env.task
    joints = task.home + ramp((N, 9), 0.2, 3.0)
    joints[:, 7:] = 0.02 + ramp((N, 2), 0.01, 1.0)
    task.robot.set_joint_positions(joints)
    task.robot.set_joint_velocities(ramp((N, 9), 0.3, 4.0))
    turns = ramp((N, 4), 0.3, 1.0) + torch.tensor([1.0, 0.0, 0.0, 0.0])
    turns /= turns.norm(dim=-1, keepdim=True)
    nuts, bolts = ramp((N, 3), 0.1, 0.0), ramp((N, 3), 0.05, 7.0)
    task.nuts.set_world_poses(task._env_pos + nuts + torch.tensor([0.0, 0.0, 0.6]), turns)
    task.nuts.set_velocities(ramp((N, 6), 0.5, 2.0))
    task.bolts.set_world_poses(task._env_pos + bolts + torch.tensor([0.0, 0.0, 0.4]), task.level())
    env.engine.update_kinematics()
    task.measure()
    task.apply_actions(ramp((N, 12), 0.9, 6.0))
    task.progress_buf[:] = 5
    task.get_observations()
    task.calculate_metrics()

    observation, sums, rewards, efforts, all_efforts = NUMBERS[word]
    applied = task.robot.get_applied_actions().joint_efforts[:, torch.cat((task.arm, task.fingers))]
    row, pulls = (torch.tensor([float(number) for number in text.split()]) for text in (observation, efforts))
    torch.testing.assert_close(task.obs_buf[0], row, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(task.obs_buf.sum(-1), torch.tensor(sums), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(task.rew_buf, torch.tensor(rewards), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(applied[0], pulls, atol=1e-5, rtol=5e-6)
    torch.testing.assert_close(applied.abs().sum(-1), torch.tensor(all_efforts), atol=1e-5, rtol=5e-6)


def steer(env, goals):
    """Move the fingertips for an episode, by what is missing to poses that `goals` returns; return what it left."""
    torch.manual_seed(5)
    env.reset()
    task, actions = env.task, torch.zeros(N, 12)
    result: Any = None
    assert task.progress_buf.tolist() == [1] * N
    for _ in range(126):
        places, turns = goals(task)
        ways = pose_errors(task.fingertip, task.hand_turn, places, turns)
        actions[:, :6] = 10.0 * ways.clamp(-0.1, 0.1)
        result = env.step(actions)
    return result


def test_a_scripted_hand_picks_nuts_up(make):
    def above_then_around(task):
        near = (task.grasp - task.fingertip)[:, :2].norm(dim=-1, keepdim=True) < 0.01
        return task.grasp + torch.where(near, 0.0, 0.05) * task.up, task.grasped_turn

    env = make("Pick")
    _, rewards, dones, extras = steer(env, above_then_around)
    assert dones.tolist() == [1] * N and extras["time_outs"].all()
    assert extras["episode"]["success"] == 1.0
    heights = env.task.nut[:, 2] + M16.head_height - env.task.bench_height
    assert (heights > 0.1).all(), "lifted by the fingers' friction"
    assert (rewards > -0.1).all() and (rewards < 0.0).all()
    middles = env.task.joints[:, env.task.fingers].sum(dim=-1)
    assert (middles > 0.0239).all() and (middles < 0.028).all(), "as wide as the nut: across flats 24 mm, corners 27.7"


def test_a_scripted_hand_places_nuts_on_tips(make):
    def onto_the_tip(task):
        base = task.nut + M16.head_height * quat_rotate(task.nut_turn, task.up)
        tip = task.bolt + (M16.head_height + M16.shank_length) * task.up
        down = torch.tensor([0.0, 0.0, 1.0, 0.0]).repeat(N, 1)
        return task.fingertip + tip - base, down

    env = make("Place")
    _, rewards, dones, extras = steer(env, onto_the_tip)
    assert dones.tolist() == [1] * N and extras["episode"]["success"] == 1.0
    assert (rewards > -0.1).all(), "which is closeDistance"
    assert env.engine.get_gravity().tolist() == pytest.approx([0.0, 0.0, -9.81])


def test_a_nut_that_is_turned_follows_the_thread(make):
    env = make("Screw")
    env.reset()
    task, engine = env.task, env.engine
    # One on the thread, which is turned down; one half a turn and half a pitch further, turned up; one beside the bolt.
    task.robot.set_joint_efforts(torch.zeros(N, 9))
    places, half = task.bench_height * task.up, torch.tensor([0.0, math.pi, 0.0])
    places += torch.tensor([[0.0, 0.0, 0.008], [0.0, 0.0, 0.009], [0.0, 0.1, -M16.head_height]])
    turns = torch.stack((torch.cos(half / 2), 0 * half, 0 * half, torch.sin(half / 2)), dim=-1)
    task.nuts.set_world_poses(places + task._env_pos, turns)
    task.nuts.set_velocities(torch.zeros(N, 6))
    spin, seen = torch.tensor([-6.0, 6.0]), []  # rad/s
    for _ in range(40):
        velocities = task.nuts.get_velocities()
        velocities[:2, 5] = spin
        task.nuts.set_velocities(velocities)
        engine.step()
        task.measure()
        seen.append((task.nut[:2, 2].clone(), 2.0 * torch.atan2(task.nut_turn[:2, 3], task.nut_turn[:2, 0])))
    (height, angle), (end, after) = seen[5], seen[-1]  # once the play between the threads is used up
    turned = ((after - angle + math.pi) % (2.0 * math.pi) - math.pi) / (2.0 * math.pi)
    assert (turned.abs() > 0.1).all() and (turned.sign() == spin.sign()).all()
    per_turn = (end - height) / turned
    assert (per_turn > 0.9 * M16.pitch).all() and (per_turn < 1.1 * M16.pitch).all(), per_turn.tolist()
    assert task.nut[:2, :2].abs().max() < 0.0003, "held by the thread"


def test_the_last_joint_turns_without_an_end_to_screw(make):
    limits = make("Screw").task.robot.get_dof_limits()[0, 6]
    assert limits[0] < -100.0 and limits[1] > 100.0
    assert make("Place").task.robot.get_dof_limits()[0, 6].tolist() == pytest.approx([-2.8973, 2.8973], abs=1e-3)


def test_an_environment_that_begins_anew_joins_the_others(make):
    env = make("Pick")
    torch.manual_seed(5)
    env.reset()
    for _ in range(3):
        env.step(torch.zeros(N, 12))
    task = env.task
    before = task.nut.clone()
    task.reset_idx(torch.tensor([1]))
    moved = (task.nut - before).norm(dim=-1) > 1e-3
    assert moved.tolist() == [False, True, False]
    assert task.progress_buf.tolist() == [4, 4, 4]


def test_engines_without_distance_fields_are_refused(make, monkeypatch):
    env = make("Pick")
    monkeypatch.setattr(env.engine, "name", "newton")
    with pytest.raises(MyriadError, match="signed distance fields: use engine=physx"):
        env.task.set_up_scene(env.engine.scene)
