# SPDX-License-Identifier: Apache-2.0
"""A policy on a robot that it was not trained on: masses and friction as engines have them, commands that are late."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.deploy.deployment import deploy
from omni.myriad.deploy.episodes import SingleRobot, draw_starts, play
from omni.myriad.policy.runtime import Policy

SETTINGS = ("task=Ant", "num_envs=1")
CHANGED = ("task.sim.mass_scale=1.5", "task.sim.friction_scale=0.25")


def body(env):
    """Return masses, a number that inertias are proportional to, and coefficients of friction of all shapes."""
    name, engine = env.engine.name, env.engine
    if name == "mujoco":
        arrays = engine.model.body_mass, engine.model.body_inertia, engine.model.geom_friction[:, 0]
        return tuple(torch.tensor(array) for array in arrays)
    if name == "newton":
        import warp as wp

        model = engine.model
        mass, inertia = wp.to_torch(model.body_mass), wp.to_torch(model.body_inertia)
        torch.testing.assert_close(mass * wp.to_torch(model.body_inv_mass), torch.ones_like(mass))
        unit = torch.eye(3).expand_as(inertia)
        torch.testing.assert_close(inertia @ wp.to_torch(model.body_inv_inertia), unit, atol=1e-4, rtol=1e-4)
        return mass.clone(), inertia.clone(), wp.to_torch(model.shape_material_mu).clone()
    robot = env.task.robots
    material = robot._read("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION", None, None, True)
    ground = engine.stage.GetPrimAtPath("/World/defaultGroundPlane")
    prims = [prim for prim in [ground, *ground.GetAllChildren()] if prim.HasAttribute("physics:staticFriction")]
    of_ground = torch.tensor([prim.GetAttribute("physics:staticFriction").Get() for prim in prims])
    assert len(of_ground)
    return robot.get_body_masses(), robot.get_body_inertias(), torch.cat((material[..., :2].flatten(), of_ground))


@pytest.mark.parametrize("engine", ["physx", "mujoco", "newton"])
def test_masses_inertias_and_friction_are_scaled(env_of, engine):
    plain, changed = body(env_of(*SETTINGS, f"engine={engine}")), body(env_of(*SETTINGS, f"engine={engine}", *CHANGED))
    for before, now, factor in zip(plain, changed, (1.5, 1.5, 0.25), strict=True):
        assert before.abs().sum() > 0.0
        torch.testing.assert_close(now, factor * before)


@pytest.mark.parametrize(
    ("latency", "expected"),
    [
        (0.0, [["0"], ["1"], ["2"], ["3"]]),
        (0.5, [["0", "0"], ["0", "1"], ["1", "2"], ["2", "3"]]),
        (1.0, [["0"], ["0"], ["1"], ["2"]]),
        (1.5, [["0", "0"], ["0", "0"], ["0", "1"], ["1", "2"]]),
    ],
)
def test_commands_are_late_by_fractions_of_a_control_step(env_of, exported, monkeypatch, latency, expected):
    env = env_of("task=Cartpole", "num_envs=1")
    assert env.task.control_frequency_inv == 2
    robot = SingleRobot(env, Policy(exported), "cartpole_view", latency)
    applied, given = [], iter("0123")
    monkeypatch.setattr(robot, "_apply", applied.append)
    monkeypatch.setattr(robot._policy, "act", lambda *_, **__: next(given))
    observed = env.reset()
    for _ in range(2):  # from the beginning again
        applied.clear()
        given = iter("0123")
        robot.set_env_state(env.get_env_state())
        for steps in expected:
            start = env.engine.phase_seconds
            action = robot.act(observed)
            robot.step(action)
            assert env.engine.phase_seconds != start
            assert applied == steps
            applied.clear()


@pytest.mark.parametrize(("limit", "lasted"), [(1000.0, True), (0.001, False)])
def test_an_episode_lasts_if_only_the_step_limit_ends_it(env_of, limit, lasted):
    """Whatever the task counts as its last step: its `time_outs` say so."""
    env = env_of("task=Cartpole", "num_envs=3", "task.env.episodeLength=9", f"task.env.resetDist={limit}")
    still: Any = SimpleNamespace(reset=lambda num_envs: None, act=lambda observations, dones: torch.zeros(3, 1))
    played = play(env, still, draw_starts(env), "cartpole_view")
    assert played.lasted.tolist() == [lasted] * 3 and not played.said
    assert (played.lengths.max() < 8) != lasted


def test_the_table_says_what_was_changed(exported, capsys):
    asked = ["engine=physx", "episodes=2", "video=False", "mass=2", "latency=0.5"]
    report = deploy(load_config(asked), exported, "mujoco")
    written = json.loads((report.folder / "deploy.json").read_text())
    assert written["changed"] == {"mass": 2.0, "friction": 1.0, "latency": 0.5}
    assert "masses x 2, friction x 1, commands 0.5 control steps late" in capsys.readouterr().out
    trainer, batched, physx, mujoco = (row.rewards for row in report.rows)
    assert batched == pytest.approx(trainer, rel=1e-3)
    assert physx != pytest.approx(trainer, rel=1e-3)
    assert mujoco == pytest.approx(physx, rel=0.02), "the same robot in both"
    assert all(0.0 <= row.lasting <= 1.0 for row in report.rows)
