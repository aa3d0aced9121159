# SPDX-License-Identifier: Apache-2.0
"""The bare loop on real physics: it moves robots, reads what the views read, and fails as one."""

import pytest
import torch

from omni.myriad.engine.physx.bare_loop import READS, BareLoop
from omni.myriad.errors import MyriadError


@pytest.mark.parametrize("in_step", [True, False])
def test_state_that_is_read_is_what_the_views_read(env_of, in_step):
    env = env_of("task=Ant", "num_envs=6", "engine.shards=2")
    loop = BareLoop(env.engine, max_effort=7.5, decimation=2)
    before = env.task.robots.get_joint_positions()
    loop.advance(5, in_step=in_step)
    env.engine.ledger.state_version += 1  # the engine does not know that somebody else stepped
    assert set(loop.state) == set(READS)
    assert torch.equal(loop.state["ARTICULATION_DOF_POSITION"], env.task.robots.get_joint_positions())
    assert torch.equal(loop.state["ARTICULATION_ROOT_POSE"][:, :3], env.task.robots.get_world_poses()[0])
    assert loop.state["ARTICULATION_LINK_INCOMING_JOINT_FORCE"].shape == (6, 9, 6)
    moved = (loop.state["ARTICULATION_DOF_POSITION"] - before).abs().amax(1)
    assert (moved > 1e-3).all(), "every ant has felt torques of its own"
    assert not torch.equal(moved[0], moved[1])
    assert all(seconds > 0.0 for seconds in loop.seconds.values())


@pytest.mark.parametrize("decimation", [1, 2, 3])
def test_ants_fall_for_as_long_as_decimation_says(env_of, decimation):
    env = env_of("task=Ant", "num_envs=2", "engine.shards=1")
    loop = BareLoop(env.engine, max_effort=0.0, decimation=decimation)
    loop.advance(2)
    # Semi-implicit Euler falls n (n + 1) / 2 g dt^2 in n steps; the solver may end half a step's difference higher.
    n, g, dt = 2 * decimation, 9.81, 1 / 120
    fallen = 0.5 - loop.state["ARTICULATION_ROOT_POSE"][:, 2]
    assert (fallen > g * dt * dt * n * n / 2 - 1e-4).all()
    assert (fallen < g * dt * dt * n * (n + 1) / 2 + 1e-4).all()


def test_one_failing_shard_stops_all(env_of):
    env = env_of("task=Ant", "num_envs=4", "engine.shards=2")
    loop = BareLoop(env.engine, max_effort=1.0, decimation=1)
    loop._torques[1] = ["no tensor"] * 16
    with pytest.raises(Exception, match=r"(?i)tensor|dlpack|str") as raised:
        loop.advance(3)
    assert not isinstance(raised.value, AssertionError)


def test_a_scene_without_articulation_is_said(engine_of):
    engine = engine_of("task=Ant", "num_envs=2")
    engine.clone_environments(2, 5.0)
    with pytest.raises(MyriadError, match="needs one articulation per environment, and this task has 0"):
        BareLoop(engine, 1.0, 1)
