# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.commands import VelocityCommands

N = 4000
RANGES = {"linear_x": [-1.0, 2.0], "linear_y": [0.5, 0.5], "yaw": [-0.4, 0.4]}


def commands(**settings):
    drawn = VelocityCommands({**RANGES, **settings}, N, 0.02, torch.device("cpu"))
    drawn.draw(torch.arange(N))
    return drawn


def test_commands_fill_their_ranges_and_last_an_episode():
    drawn = commands()
    before = drawn.values.clone()
    for column, (least, most) in enumerate(RANGES.values()):
        assert (before[:, column] >= least).all() and (before[:, column] <= most).all()
        assert before[:, column].max() - before[:, column].min() >= 0.98 * (most - least)
    for _ in range(100):
        drawn.step()
    assert torch.equal(drawn.values, before)
    drawn.draw(torch.tensor([3, 5]))
    changed = (drawn.values != before).any(-1)
    assert changed.nonzero().squeeze(-1).tolist() == [3, 5]


def test_commands_are_drawn_again_after_their_time():
    drawn = commands(resampling_time=[0.1, 0.1])  # 5 steps of 0.02 s
    before = drawn.values.clone()
    for _ in range(4):
        drawn.step()
        assert torch.equal(drawn.values, before)
    drawn.step()
    assert (drawn.values[:, 0] != before[:, 0]).all()
    again = commands(resampling_time=[0.1, 0.3])
    torch.testing.assert_close(again.lasting.mean().item(), 10.0, atol=0.3, rtol=0.0)


def test_some_stand_still_and_some_turn_towards_a_direction():
    drawn = commands(standing_share=0.25, heading=[1.0, 2.0], heading_share=0.5, heading_gain=0.3)
    stands = ~drawn.values[:, :2].any(-1)
    turns = ~drawn.headings.isnan()
    assert stands.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert turns.float().mean().item() == pytest.approx(0.75 * 0.5, abs=0.03) and not (turns & stands).any()
    rates = drawn.values[:, 2].clone()
    drawn.step(torch.full((N,), 1.5))
    torch.testing.assert_close(drawn.values[turns, 2], 0.3 * (drawn.headings[turns] - 1.5))
    assert torch.equal(drawn.values[~turns, 2], rates[~turns])
    drawn.step(torch.full((N,), 1.5 + math.pi))  # behind: turned as fast as commands are, to the nearer side
    nearer = torch.where(drawn.headings[turns] < 1.5, 0.4, -0.4)
    torch.testing.assert_close(drawn.values[turns, 2], nearer)


def test_a_command_is_said_for_all_until_it_is_taken_back():
    drawn = commands(resampling_time=[0.02, 0.02])
    assert drawn.said is None
    drawn.said = (1.0, -1.0, 3.0)
    for _ in range(3):
        drawn.step()
    assert drawn.said == (1.0, -1.0, 3.0) and torch.equal(drawn.values, torch.tensor([[1.0, -1.0, 3.0]]).repeat(N, 1))
    drawn.said = None
    assert (drawn.values[:, 0] <= 2.0).all() and (drawn.values[:, 1] == 0.5).all()
    with pytest.raises(MyriadError, match="three numbers"):
        drawn.said = (1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"linear_z": [0.0, 1.0]}, "commands.linear_z is no setting of commands; they are: linear_x, "),
        ({"yaw": [1.0, -1.0]}, r"commands.yaw=\[1.0, -1.0\] is invalid: it must be a range"),
        ({"heading": 3.0}, "commands.heading=3.0 is invalid"),
    ],
)
def test_a_mistake_is_named(settings, message):
    with pytest.raises(MyriadError, match=message):
        commands(**settings)
