# SPDX-License-Identifier: Apache-2.0
"""Quadcopter, Ingenuity and Crazyflie: rewards, ends, starts and flight, by hand."""

import math

import pytest
import torch

from omni.myriad.maths import quat_rotate

FLYING = ("Quadcopter", "Ingenuity", "Crazyflie")


@pytest.fixture
def env(env_of, request):
    env = env_of(f"task={request.param}", "num_envs=3")
    env.reset()
    return env


def show(task, position, tilt=0.0, spin=0.0):
    """Let the task see all robots in one state: tilted about x by `tilt` rad, spinning about z by `spin` rad/s."""
    rotation = torch.tensor([math.cos(tilt / 2), math.sin(tilt / 2), 0.0, 0.0])
    task.copters.set_world_poses(torch.tensor(position) + task._env_pos, rotation.repeat(3, 1))
    task.copters.set_velocities(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, spin]).repeat(3, 1))
    task.target[:] = torch.tensor([0.0, 0.0, 1.0])
    task.get_observations()
    task.calculate_metrics()


def ends(task):
    task.reset_buf.zero_()
    task.is_done()
    return bool(task.reset_buf.all())


# 1 / (1 + a d^2), and at 60 degrees of tilt 1 / (1 + b (1 - cos 60)^2)
@pytest.mark.parametrize(
    ("env", "state", "reward"),
    [
        ("Quadcopter", ((0.0, 0.0, 1.0),), 3.0),
        ("Quadcopter", ((0.0, 1.0, 1.0),), 3.0 / 4.0),
        ("Quadcopter", ((0.0, 0.0, 1.0), math.pi / 3), 1.0 + 1.0 / 3.5 + 1.0),
        ("Quadcopter", ((0.0, 0.0, 1.0), 0.0, 10.0), 2.0 + 1.0 / 1.1 - 0.25),
        ("Quadcopter", ((0.0, 0.0, 1.0), 0.0, 40.0), 0.0),  # spinning costs 4, and rewards are not negative
        ("Ingenuity", ((0.0, 0.0, 1.0),), 3.0),
        ("Ingenuity", ((0.0, 0.0, 3.0),), 3.0 / 11.0),
        ("Ingenuity", ((0.0, 0.0, 1.0), math.pi / 3), 2.0 + 1.0 / 8.5),
        ("Ingenuity", ((0.0, 0.0, 1.0), 0.0, 1.0), 2.0 + 1.0 / 11.0),
        ("Crazyflie", ((0.0, 0.0, 1.0),), 2.01 - 0.05),
        ("Crazyflie", ((0.0, 0.0, 4.0),), 2.01 / 4.0 - 0.05),
        ("Crazyflie", ((0.0, 0.0, 1.0), math.pi / 3), 1.51 - 0.05),
        ("Crazyflie", ((0.0, 0.0, 1.0), 0.0, 1.0), 2.0 + 0.01 / math.e - 0.05),
    ],
    indirect=["env"],
)
def test_reward_by_hand(env, state, reward):
    show(env.task, *state)
    torch.testing.assert_close(env.task.rew_buf, torch.full((3,), reward), atol=2e-5, rtol=0.0)


@pytest.mark.parametrize("env", ["Crazyflie"], indirect=True)
def test_little_effort_is_charged_for(env):
    env.task.actions.fill_(0.5)  # effort 1
    show(env.task, (0.0, 0.0, 1.0))
    expected = 2.01 - 0.05 * math.exp(-0.5)
    torch.testing.assert_close(env.task.rew_buf, torch.full((3,), expected), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize(
    ("env", "kept", "ended"),
    [
        ("Quadcopter", [((0.0, 0.0, 0.31),), ((2.9, 0.0, 1.0),)], [((0.0, 0.0, 0.29),), ((3.1, 0.0, 1.0),)]),
        ("Ingenuity", [((0.0, 0.0, 0.51),), ((19.9, 0.0, 1.0),)], [((0.0, 0.0, 0.49),), ((20.1, 0.0, 1.0),)]),
        (
            "Crazyflie",
            [((0.0, 0.0, 0.51),), ((0.0, 0.0, 4.9),), ((4.9, 0.0, 1.0),), ((0.0, 0.0, 1.0), 1.5)],
            [((0.0, 0.0, 0.49),), ((0.0, 0.0, 5.1),), ((5.1, 0.0, 1.0),), ((0.0, 0.0, 1.0), 1.6)],
        ),
    ],
    indirect=["env"],
)
def test_ends_by_hand(env, kept, ended):
    task = env.task
    for states, end in ((kept, False), (ended, True)):
        for state in states:
            show(task, *state)
            task.time_out_buf.fill_(False)
            assert ends(task) == end, state
    task.time_out_buf.fill_(True)
    assert ends(task) and not task.time_out_buf.any(), "who fails in the last step is not cut short"


@pytest.mark.parametrize(
    ("env", "lower", "upper"),
    [
        ("Quadcopter", (-1.5, -1.5, 0.8), (1.5, 1.5, 2.5)),
        ("Ingenuity", (-0.5, -0.5, 0.5), (0.5, 0.5, 1.5)),
        ("Crazyflie", (0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
    ],
    indirect=["env"],
)
def test_starts_are_within_their_ranges(env, lower, upper):
    task = env.task
    lower, upper = torch.tensor(lower), torch.tensor(upper)
    found = []
    for _ in range(60):
        task.reset_idx(torch.arange(3))
        found.append(task.copters.get_world_poses()[0] - task._env_pos)
    found = torch.cat(found)
    assert (found >= lower - 1e-5).all() and (found <= upper + 1e-5).all()
    spread = found.amax(0) - found.amin(0)
    assert (spread >= 0.9 * (upper - lower) - 1e-5).all()
    assert not task.copters.get_velocities().any()


def climb(env, actions, steps=20):
    """Fly by the same actions and return what was gained in the last step, m/s^2, upwards and in all."""
    env.reset()
    for _ in range(steps):
        before = env.task.copters.get_velocities()
        env.step(actions)
    gained = (env.task.copters.get_velocities() - before)[:, :3] / env.engine.physics_dt
    return gained.mean(0)


@pytest.mark.parametrize("env", ["Quadcopter"], indirect=True)
def test_a_quadcopter_climbs_as_newton_says(env):
    actions = torch.zeros(3, 12)
    actions[:, 8:] = 1.0  # 1 N more in each step, at most 2 N each
    upwards = 4 * 2.0 / 0.2515369  # N/kg, less 4 % where all rotors are tilted by 0.2 rad about both axes
    assert 0.96 * upwards - 9.81 < climb(env, actions)[2].item() < upwards - 9.8
    assert env.task.thrusts.unique().tolist() == [2.0]
    env.reset()
    assert not env.task.thrusts.any(), "an episode begins without thrust"


@pytest.mark.parametrize("env", ["Quadcopter"], indirect=True)
def test_tilted_rotors_push_aside(env):
    env.reset()
    task = env.task
    actions = torch.zeros(3, 12)
    actions[:, 0] = 1.0
    for _ in range(3):
        env.step(actions)
    # Pitch is about the tangent: the first rotor, at 45 degrees, leans outward.
    up = torch.zeros(12, 3)
    up[:, 2] = 1.0
    leans = quat_rotate(task.rotor_orientations, up).view(3, 4, 3)
    assert (leans[:, 0, 2] < 0.95).all() and (leans[:, 0, :2] > 0.1).all()
    targets = task.copters.get_applied_actions().joint_positions
    assert (targets[:, 0] <= math.radians(30) + 1e-6).all(), "a limit of 30 degrees"


@pytest.mark.parametrize("env", ["Ingenuity"], indirect=True)
def test_ingenuity_climbs_and_leans_as_newton_says(env):
    mass = 0.12**3 * 50 + 2 * (math.pi * 0.15**2 * 0.01 * 1000 + 0.01)
    actions = torch.tensor([0.0, 0.0, 0.25, 0.0, 0.0, 0.25]).repeat(3, 1)  # two times 0.01 s 2000 N/s / 4 are 5 N
    torch.testing.assert_close(climb(env, actions), torch.tensor([0.0, 0.0, 10.0 / mass - 3.721]), atol=0.1, rtol=0.0)
    aside = torch.tensor([1.0, 0.0, 0.25, 1.0, 0.0, 0.25]).repeat(3, 1)  # and a fifth of that along x
    assert climb(env, aside, 2)[0].item() == pytest.approx(2.0 / mass, abs=0.1)


@pytest.mark.parametrize("env", ["Ingenuity"], indirect=True)
def test_targets_are_drawn_again_every_500_steps(env):
    task, still = env.task, torch.zeros(3, 6)
    task.progress_buf[:] = torch.tensor([499, 500, 1000])
    before = task.target.clone()
    task.apply_actions(still)
    assert (task.target == before).all(-1).tolist() == [True, False, False]
    for _ in range(100):
        task.progress_buf.zero_()
        task.apply_actions(still)
        assert (task.target[:, :2].abs() <= 1.0).all() and ((task.target[:, 2] - 1.5).abs() <= 0.5).all()


@pytest.mark.parametrize("env", ["Ingenuity"], indirect=True)
def test_blades_spin_against_each_other_and_discs_stand_still(env):
    for _ in range(5):
        env.step(torch.zeros(3, 6))
    speeds = env.task.copters.get_joint_velocities()
    torch.testing.assert_close(speeds, torch.tensor([0.0, 50.0, 0.0, -50.0]).repeat(3, 1), atol=0.5, rtol=0.0)


@pytest.mark.parametrize("env", ["Crazyflie"], indirect=True)
def test_a_crazyflie_climbs_as_newton_says(env):
    # All motors full on lift 1.9 times 28 g; the robot has 27.
    full = climb(env, torch.ones(3, 4), 60)
    assert full[2].item() == pytest.approx(9.81 * (1.9 * 28.0 / 27.0 - 1.0), abs=0.3)


@pytest.mark.parametrize("env", ["Crazyflie"], indirect=True)
def test_a_crazyflie_is_pushed_along_its_axis(env):
    env.reset()
    task = env.task
    env.step(torch.ones(3, 4))
    tilt = 0.5
    rotation = torch.tensor([math.cos(tilt / 2), 0.0, math.sin(tilt / 2), 0.0])  # about y: the axis leans to +x
    task.copters.set_world_poses(orientations=rotation.repeat(3, 1))
    task.get_observations()
    env.step(torch.ones(3, 4))
    assert (task.velocity[:, 0] > 0.0).all()


@pytest.mark.parametrize("env", FLYING, indirect=True)
def test_nothing_of_them_collides(env):
    from pxr import Usd, UsdPhysics

    assert not [prim for prim in Usd.PrimRange(env.task.stage.GetPrimAtPath("/World/envs/env_0"))
                if prim.HasAPI(UsdPhysics.CollisionAPI)]  # fmt: skip
