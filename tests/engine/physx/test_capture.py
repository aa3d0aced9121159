# SPDX-License-Identifier: Apache-2.0
"""What CUDA graphs ask of the engine, on the CPU: they read and fill the views' tensors without calling anything."""

import pytest
import torch


@pytest.fixture
def ants(env_of):
    env = env_of("task=Ant", "num_envs=4", "engine.shards=2")
    env.reset()
    return env.engine, env.task.robots


def test_partial_writes_are_confined_to_some_environments(ants):
    engine, view = ants
    before, everyone = view.get_joint_positions(), torch.arange(4)
    with engine.capture.only(torch.tensor([True, False, False, True])):
        view.set_joint_positions(before + 0.1, indices=everyone)
    now = view.get_joint_positions()
    torch.testing.assert_close(now[[0, 3]], before[[0, 3]] + 0.1)
    assert torch.equal(now[[1, 2]], before[[1, 2]])
    view.set_joint_positions(before + 0.2, indices=everyone)
    torch.testing.assert_close(view.get_joint_positions(), before + 0.2)


def test_what_others_wrote_is_sent_before_a_graph_fills_the_tensor(ants):
    engine, view = ants
    engine.capture.flush()  # where nothing waits, nothing happens
    view.set_joint_velocities(torch.full((4, 8), 0.5))
    quantities = [quantity for quantity, _ in engine.capture.pending_writes()]
    assert quantities
    engine.capture.flush()
    assert engine.capture.pending_writes() == []
    quantities[0].data.fill_(7.0)  # a graph's next values, of which nobody was told
    torch.testing.assert_close(view.get_joint_velocities(), torch.full((4, 8), 0.5))


def test_what_a_graph_fills_is_sent_again(ants):
    engine, view = ants
    start = engine.get_state()
    view.set_joint_efforts(torch.full((4, 8), 3.0))
    writes = engine.capture.pending_writes()
    engine.step()
    expected = view.get_joint_velocities()
    engine.set_state(start)
    engine.step()
    assert not torch.allclose(view.get_joint_velocities(), expected, atol=0.1)
    engine.set_state(start)
    engine.capture.flush()
    (efforts,) = (quantity for quantity, _ in writes)
    efforts.data.fill_(3.0)
    engine.capture.write_again(writes)
    engine.step()
    torch.testing.assert_close(view.get_joint_velocities(), expected, atol=1e-4, rtol=1e-4)


def test_what_a_graph_looks_at_is_read_after_every_step(ants):
    engine, view = ants
    positions = view.get_joint_positions(clone=False)
    engine.capture.keep_reading()
    seen = []
    for _ in range(3):
        view.set_joint_efforts(torch.full((4, 8), 5.0))
        engine.step()
        seen.append(positions.clone())
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    assert torch.equal(view.get_joint_positions(), seen[-1])
