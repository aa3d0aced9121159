# SPDX-License-Identifier: Apache-2.0
"""What is kept of a task is what the simulation runs with."""

import json
import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.policy.description import (
    describe_space,
    describe_task,
    read_description,
    rebuild_space,
    settings_hash,
    write_description,
)
from omni.myriad.task.terms import ActionTerm
from tests.policy.synthetic import box


@pytest.mark.parametrize(
    "space",
    [
        box(4),
        box(3, low=-1.0, high=1.0),
        spaces.Box(np.array([-1.0, -np.inf], np.float32), np.array([0.5, 2.0], np.float32)),
        box(8, 8, 3, low=0, high=255, dtype=np.uint8),
        spaces.Discrete(5),
        spaces.Tuple([spaces.Discrete(3), spaces.Discrete(2)]),
        spaces.Dict({"a": box(2), "b": box(3)}),
    ],
)
def test_spaces_survive_json(space):
    assert rebuild_space(json.loads(json.dumps(describe_space(space), allow_nan=False))) == space


def test_other_spaces_are_refused():
    with pytest.raises(MyriadError, match="cannot be exported"):
        describe_space(spaces.MultiBinary(3))


def test_cartpole_with_its_settings_changed(env_of):
    env = env_of("task=Cartpole", "num_envs=3", "task.env.maxEffort=123.5", "task.env.controlFrequencyInv=4")
    described = describe_task(env)
    (push,) = described["action_terms"]
    assert (push["kind"], push["joint_names"], push["scale"], push["unit"]) == ("effort", ["cartJoint"], [123.5], "N")
    assert (described["physics_dt"], described["decimation"]) == (1 / 120, 4)
    assert described["robot"]["joint_names"] == ["cartJoint", "poleJoint"]
    assert described["robot"]["root_position"] == [0.0, 0.0, 2.0]
    assert described["robot"]["position_limits"] == [[-4.0, 4.0], [None, None]]
    assert described["clip_observations"] == 5.0
    assert [term["name"] for term in described["observation_terms"]] == [
        "cart_position",
        "cart_velocity",
        "pole_angle",
        "pole_velocity",
    ]


def test_cartpole_computes_with_its_terms(env_of):
    env = env_of("task=Cartpole", "num_envs=2", "task.env.maxEffort=123.5")
    env.reset()
    env.step(torch.tensor([[0.5], [-1.0]]))
    assert env.task.efforts[:, env.task.cart].tolist() == [61.75, -123.5]


def test_ant_computes_with_its_terms(env_of):
    """Rebuild the observation from named quantities and the numbers of the terms, as a robot would."""
    env = env_of("task=Ant", "num_envs=2", "task.env.dofVelocityScale=0.3", "task.env.contactForceScale=0.02")
    env.reset()
    for _ in range(5):
        env.step(torch.full((2, 8), 0.4))
    task, ants = env.task, env.task.robots
    described = {term["name"]: term for term in describe_task(env)["observation_terms"]}
    assert described["last_action"]["slice"] == [52, 60]
    order = [ants.dof_names.index(name) for name in described["joint_positions"]["joint_names"]]
    quantities = {
        "root_height": ants.get_world_poses()[0][:, 2:],
        "joint_positions": ants.get_joint_positions()[:, order],
        "joint_velocities": ants.get_joint_velocities()[:, order],
        "foot_forces": ants.get_measured_joint_forces(joint_indices=task.feet_indices).reshape(2, 24),
        "last_action": torch.full((2, 8), 0.4),
    }
    for name, quantity in quantities.items():
        term = described[name]
        wanted = (quantity - torch.tensor(term["offset"])) * torch.tensor(term["scale"])
        torch.testing.assert_close(task.obs_buf[:, slice(*term["slice"])], wanted)
    limits = math.radians(40.0)
    assert described["joint_positions"]["scale"][0] == pytest.approx(1.0 / limits)


def test_joints_that_no_robot_has(env_of, monkeypatch):
    env = env_of("task=Cartpole", "num_envs=1")
    monkeypatch.setattr(env.task, "action_terms", lambda: [ActionTerm("effort", ("wheel",))])
    with pytest.raises(MyriadError, match="commands joints that no robot has: wheel"):
        describe_task(env)


def test_settings_hash_ignores_the_number_of_environments():
    settings = {"env": {"numEnvs": 4, "scale": 1.0}, "task_path": []}
    assert settings_hash(settings) == settings_hash({"env": {"numEnvs": 8, "scale": 1.0}, "task_path": ["/x"]})
    assert settings_hash(settings) != settings_hash({"env": {"numEnvs": 4, "scale": 2.0}, "task_path": []})


def test_description_files(tmp_path):
    assert read_description(tmp_path) is None
    write_description({"format": 1, "x": [0.1]}, tmp_path)
    assert read_description(tmp_path) == {"format": 1, "x": [0.1]}
    write_description({"format": 2}, tmp_path)
    with pytest.raises(MyriadError, match="has format 2, this version reads up to 1"):
        read_description(tmp_path)
    (tmp_path / "task.json").write_text("{")
    with pytest.raises(MyriadError, match="is damaged"):
        read_description(tmp_path)
