# SPDX-License-Identifier: Apache-2.0
"""Observations and rewards beside numbers that OmniIsaacGymEnvs' own files gave in the same states.

Their commit f8f91bc was asked, with the rotations of Isaac Sim 5.1.0: the first environment's observation, the sum of
each environment's, rewards.
"""

import pytest
import torch

N = 3


def ramp(shape, scale, shift):
    """Return numbers that are easily made again: sines of whole numbers."""
    count = torch.Size(shape).numel()
    return (scale * torch.sin(torch.arange(1.0, count + 1.0) + shift)).view(shape)


POSITIONS = ramp((N, 3), 0.4, 0.0) + torch.tensor([0.0, 0.0, 1.5])
ROTATIONS = ramp((N, 4), 0.3, 1.0) + torch.tensor([1.0, 0.0, 0.0, 0.0])
ROTATIONS /= ROTATIONS.norm(dim=-1, keepdim=True)
VELOCITIES = ramp((N, 6), 1.5, 2.0)

ROOT = "-0.112196 -0.121240 -0.185483 0.960468 0.031947 -0.171329 -0.217086 0.105840 -0.567602 -0.719193 -0.133411 "
ROOT += "0.313688 0.472384"
NUMBERS = {
    "Quadcopter": (
        f"{ROOT} -0.227041 -0.287677 -0.083825 0.197096 0.296807 0.123636 -0.163206 -0.299997",
        [-0.78742, 1.11808, 0.28137],
        [1.109187, 1.195060, 0.851259],
    ),
    "Ingenuity": (ROOT, [-0.34321, 1.21585, -0.19129], [0.813954, 0.697109, 0.506145]),
    "Crazyflie": (
        "-0.336588 -0.363719 0.443552 0.847040 -0.427956 0.315241 0.406062 0.903706 0.135755 -0.342983 0.013017 "
        "0.939252 0.211680 -1.135204 -1.438386 -0.419123 0.985480 1.484037",
        [2.22086, 3.81917, 1.56504],
        [1.141490, 0.958316, 1.066492],
    ),
    "BallBalance": (
        "0.197096 0.296807 0.123636 1.978716 0.824237 -1.088042 0.336588 0.363719 1.556448 0.211680 -1.135204 "
        "-1.438386 -0.419123 -0.804859 -1.126481 0.618178 0.975432 1.254983 -0.816032 -0.431855 -0.013277 -1.499985 "
        "-1.442096 -1.269331",
        [-2.74715, 2.82244, 11.10309],
        [0.176702, 0.192569, 0.172463],
    ),
    "Humanoid": (
        "1.556448 0.211680 -1.135204 -1.438387 -0.077232 0.230465 0.387616 -0.467828 0.143541 0.466271 0.939252 "
        "0.847196 -0.037606 -0.081034 -0.106729 0.643672 0.337573 0.213547 0.152128 -0.491102 0.153957 0.740738 "
        "0.660937 0.498476 0.335044 0.254240 -0.008600 1.007114 1.169042 0.287621 -0.003043 -0.290909 -0.311315 "
        "-0.191785 -0.055883 0.131397 0.197872 0.082424 -0.108804 -0.199998 -0.107315 0.084033 0.198121 0.130058 "
        "-0.057581 -0.192280 -0.150197 0.029975 0.182589 0.167331 -0.001770 -0.169244 -0.181116 -0.026470 -0.083825 "
        "0.197096 0.296807 0.123636 -0.163206 -0.299997 -0.160972 0.126050 0.297182 0.195086 -0.086371 -0.288419 "
        "0.591288 0.890422 0.370907 -0.489619 -0.899991 -0.482916 0.378150 0.891547 0.585259 -0.259113 -0.865258 "
        "-0.675888 0.134889 0.821651 0.752990 -0.007966 -0.761598 -0.815021 -0.119117 0.686303 0.860738",
        [8.28965, 8.90569, 7.00269],
        [21.870382, -16.058346, 18.782558],
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_observations_and_rewards_are_those_of_omniisaacgymenvs(env_of, monkeypatch, name):
    task = env_of(f"task={name}", f"num_envs={N}").task
    robots = next(iter(task.world.robots().values()))
    moved = task.balls if name == "BallBalance" else robots
    moved.set_world_poses(POSITIONS + task._env_pos, ROTATIONS)
    moved.set_velocities(VELOCITIES)
    robots.set_joint_positions(ramp((N, robots.num_dof), 0.3, 3.0))
    robots.set_joint_velocities(ramp((N, robots.num_dof), 2.0, 4.0))
    # What joints transmit cannot be set.
    wrenches = lambda joint_indices, **_: ramp((N, len(joint_indices), 6), 30.0, 5.0)  # noqa: E731
    monkeypatch.setattr(robots, "get_measured_joint_forces", wrenches)
    if hasattr(task, "actions"):
        task.actions.copy_(ramp((N, task.num_actions), 0.9, 6.0))
    if name == "Humanoid":
        task.potentials.fill_(-60001.0)

    task.get_observations()
    task.calculate_metrics()
    observation, sums, rewards = NUMBERS[name]
    expected = torch.tensor([float(number) for number in observation.split()])
    torch.testing.assert_close(task.obs_buf[0], expected, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(task.obs_buf.sum(-1), torch.tensor(sums), atol=5e-5, rtol=0.0)
    # Progress is a small difference of large numbers: 60,000 has steps of 1/256.
    tolerance = 0.01 if name == "Humanoid" else 1e-5
    torch.testing.assert_close(task.rew_buf, torch.tensor(rewards), atol=tolerance, rtol=0.0)


def test_motors_follow_as_in_omniisaacgymenvs(env_of):
    env = env_of("task=Crazyflie", f"num_envs={N}", "task.env.thrustNoise=0.0")
    task = env.task
    asked = ramp((N, 4), 0.9, 6.0)
    seen = []
    for _ in range(3):
        task.apply_actions(asked)
        seen.append(task.max_thrust * task.thrusts[0].clone())
    expected = torch.tensor(
        [
            [0.0073819, 0.0087696, 0.0063596, 0.0023676],
            [0.0221787, 0.0263479, 0.0191071, 0.0071135],
            [0.0380758, 0.0452334, 0.0328026, 0.0122122],
        ]
    )
    torch.testing.assert_close(torch.stack(seen), expected, atol=1e-6, rtol=0.0)
    spins = torch.tensor([126.4496, -150.2200, 108.9373, -40.5568])
    torch.testing.assert_close(task.copters.get_joint_velocities()[0], spins, atol=1e-2, rtol=0.0)
