# SPDX-License-Identifier: Apache-2.0
"""What policies know of cubes and drawers is measured in MuJoCo as the task observes it in PhysX."""

import numpy as np
import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.deploy.deployment import deploy
from omni.myriad.deploy.episodes import only
from omni.myriad.deploy.sources import MEASURES, Sensors
from omni.myriad.policy.runtime import POSE_SOURCES, from_poses
from omni.myriad.task.terms import describe_terms


@pytest.mark.parametrize(
    ("task", "of_runtime"),
    [
        ("FrankaLift", {"joint_positions", "joint_velocities", "target_leads"}),
        ("FrankaCabinet", {"joint_positions", "joint_velocities"}),
        ("ShadowHand", {"joint_positions", "joint_velocities", "last_action"}),
    ],
)
def test_mujoco_measures_what_physx_observes_in_the_same_state(env_of, task, of_runtime):
    settings = (f"task={task}", "test=True")
    trainer = env_of(*settings, "num_envs=2", "engine.shards=1")
    trainer.reset()
    torch.manual_seed(1)
    for _ in range(8):
        trainer.step(2.0 * torch.rand(2, trainer.num_actions) - 1.0)
    state = trainer.get_env_state() | {"origins": trainer.engine.env_positions.clone()}
    trainer.set_env_state(state)
    trainer.engine.update_kinematics()
    trainer.task.get_observations()
    observed = trainer.task.obs_buf.clone()

    judge = env_of(*settings, "num_envs=1", "engine=mujoco")
    judge.reset()
    terms = {term["name"]: term for term in describe_terms(task, judge.task.observation_terms(), len(observed[0]))}
    measured = {name: term for name, term in terms.items() if term["source"] in MEASURES}
    posed = {name: term for name, term in terms.items() if term["source"] in POSE_SOURCES}
    assert set(terms) - set(measured) - set(posed) == of_runtime
    places = [
        place for term in posed.values() for place in (*term["body_names"], term["relative_to"], term["frame"]) if place
    ]
    meta = {"conventions": {"gravity": [0.0, 0.0, -9.81]}, "config": {"task": judge.task.task_config}}
    robot = judge.task.robot
    sensors = Sensors(measured, robot, meta, judge.engine.scene, [place for place in places if place != "world"])
    for env in range(2):
        judge.set_env_state(only(state, env, at_origin=True))
        origin, asked = torch.zeros(3), judge.task.commands()
        given, poses = sensors.measure(origin, asked), sensors.poses(origin, asked)
        for name, term in (measured | posed).items():
            value = given[name] if name in given else from_poses(term, poses)
            scaled = (value - np.array(term["offset"])) * np.array(term["scale"])
            np.testing.assert_allclose(
                scaled, observed[env, slice(*term["slice"])].numpy(), atol=1e-4, err_msg=f"{name} of {task}"
            )
        judge.task.get_observations()
        np.testing.assert_allclose(judge.task.obs_buf[0].numpy(), observed[env].numpy(), atol=1e-4)


def test_a_policy_that_lifts_a_cube_is_judged_in_mujoco(tmp_path):
    where = ["task=FrankaLift", f"train_dir={tmp_path}", "sim_device=cpu"]
    short = ["max_iterations=2", "num_envs=8", "train.params.config.minibatch_size=192", "task.env.episodeLength=40"]
    runs.train(load_config([*where, *short, "experiment=short"]))
    runs.export(load_config([*where, "checkpoint=short"]))
    file = tmp_path / "short" / "exported" / "policy.onnx"
    report = deploy(load_config(["engine=physx", "episodes=2", "video=False"]), file, "mujoco")
    trainer, _, physx, mujoco = report.rows
    assert (trainer.where, physx.where, mujoco.where) == ("trainer", "PhysX", "MuJoCo")
    np.testing.assert_allclose(physx.rewards, trainer.rewards, rtol=0.05)
    np.testing.assert_allclose(mujoco.rewards, trainer.rewards, rtol=0.5)
    assert mujoco.length_mean == trainer.length_mean and set(mujoco.said) == {"success"}
