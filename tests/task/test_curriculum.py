# SPDX-License-Identifier: Apache-2.0
"""Curricula: levels and numbers that move by hand-worked episodes, and go on from a checkpoint."""

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.commands import VelocityCommands
from omni.myriad.task.curriculum import Curriculum, TerrainLevels
from omni.myriad.task.terrain import Terrain

CPU = torch.device("cpu")
GROUND = {"levels": 3, "columns": 2, "tile": 8.0, "border": 1.0, "cell": 0.5}


@pytest.fixture
def levels():
    """Return ten environments, on the first level."""
    return TerrainLevels(Terrain(GROUND, CPU), 10)


def walk(levels, distances, asked=8.0, moved=True):
    """Let all walk along y."""
    ids = torch.arange(len(levels.levels))
    way = torch.tensor(distances).unsqueeze(-1) * torch.tensor([0.0, 1.0, 0.0])
    levels.update(ids, levels.origins + way, asked, torch.full((len(ids),), moved))


def test_far_is_up_and_less_than_a_quarter_is_down(levels):
    columns = levels.columns.clone()
    walk(levels, [5.0] * 5 + [3.0] * 5)
    assert levels.levels.tolist() == [1] * 5 + [0] * 5
    walk(levels, [5.0, 3.0, 1.9, -5.0, 2.1] + [0.0] * 5)  # a quarter is 2 m; nobody falls below the first level
    assert levels.levels.tolist() == [2, 1, 0, 2, 1] + [0] * 5
    torch.testing.assert_close(levels.origins[:, 0], 8.0 * (levels.levels + 0.5))
    assert torch.equal(levels.columns, columns)
    walk(levels, [5.0] * 10, moved=False)
    assert levels.levels.tolist() == [2, 1, 0, 2, 1] + [0] * 5, "there was no episode yet"


def test_who_stands_as_told_stays(levels):
    walk(levels, [0.0] * 10, asked=0.0)
    walk(levels, [4.1] * 10, asked=100.0)
    assert levels.levels.tolist() == [1] * 10, "far is far, whatever was asked"


@pytest.mark.parametrize(("after_last", "seen"), [("first", {0}), ("random", {0, 1, 2})])
def test_after_the_last_level(after_last, seen):
    torch.manual_seed(2)
    levels = TerrainLevels(Terrain({**GROUND, "after_last": after_last}, CPU), 60)
    for _ in range(3):
        walk(levels, [5.0] * 60)
    assert set(levels.levels.tolist()) == seen


def test_without_a_curriculum_they_are_everywhere_and_stay():
    torch.manual_seed(2)
    levels = TerrainLevels(Terrain({**GROUND, "curriculum": False}, CPU), 60)
    before = levels.levels.clone()
    assert set(before.tolist()) == {0, 1, 2}
    walk(levels, [5.0] * 60)
    assert torch.equal(levels.levels, before)


def test_levels_of_another_number_of_environments_are_drawn_from(levels):
    torch.manual_seed(2)
    levels.draw(torch.tensor([1, 2, 9]))
    assert set(levels.levels.tolist()) == {1, 2}, "there are three"
    torch.testing.assert_close(levels.origins[:, 0], 8.0 * (levels.levels + 0.5))


def feed(curriculum, *statistics):
    """End an episode with each of some statistics, beside one that goes on."""
    for number in statistics:
        curriculum.update(torch.tensor([1, 0]), torch.tensor([number, 99.0]))


def test_a_number_moves_by_the_mean_of_enough_episodes():
    settings = {"start": 0.2, "end": 0.5, "step": 0.2, "up_above": 0.8, "down_below": 0.4, "episodes": 2}
    curriculum = Curriculum("push", settings, CPU)
    value = curriculum.value
    feed(curriculum, 1.0)
    assert value.item() == pytest.approx(0.2), "one episode is not enough"
    feed(curriculum, 0.7)
    assert value.item() == pytest.approx(0.4)
    feed(curriculum, 0.5, 0.7)
    assert value.item() == pytest.approx(0.4), "neither good nor bad"
    feed(curriculum, 1.0, 1.0)
    assert value.item() == pytest.approx(0.5), "no further than the end"
    feed(curriculum, 0.0, 0.7, 0.0, 0.0, 0.0, 0.0)
    assert value.item() == pytest.approx(0.2) and curriculum.value is value


def test_a_number_may_shrink():
    curriculum = Curriculum("help", {"start": 1.0, "end": 0.0, "step": 0.6, "up_above": 5.0, "episodes": 1}, CPU)
    feed(curriculum, 6.0)
    assert curriculum.value.item() == pytest.approx(0.4)
    feed(curriculum, -6.0)
    assert curriculum.value.item() == pytest.approx(0.4), "it never goes back"
    feed(curriculum, 6.0)
    assert curriculum.value.item() == 0.0


def test_it_goes_on_where_it_was():
    settings = {"up_above": 0.5, "episodes": 2}
    one, other = (Curriculum("it", settings, CPU) for _ in range(2))
    feed(one, 1.0, 1.0, 1.0)
    other.set_state(one.state())
    feed(other, 1.0)
    assert other.value.item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "does not say its up_above"),
        ({"up_above": 1.0, "goal": 2}, "goal is no setting; they are: start, end"),
        ({"up_above": 1.0, "step": 0}, "step and episodes must be above 0"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(MyriadError, match=f"Curriculum it.*{message}"):
        Curriculum("it", settings, CPU)


def test_commands_are_drawn_from_the_part_of_their_ranges_that_a_curriculum_says():
    curriculum = Curriculum("share", {"start": 0.1, "up_above": 0.0, "step": 0.4, "episodes": 1}, CPU)
    settings = {"linear_x": [-1.0, 2.0], "yaw": [-1.0, 1.0], "heading": [3.0, 3.0]}
    commands = VelocityCommands(settings, 500, 0.02, CPU)
    commands.share = curriculum.value
    everywhere = torch.arange(500)
    commands.draw(everywhere)
    commands.step(torch.zeros(500))
    torch.testing.assert_close(commands.values[:, 2], torch.full((500,), 0.1))
    commands.draw(everywhere)
    assert -0.1 <= commands.values[:, 0].min() < -0.08 and 0.18 < commands.values[:, 0].max() <= 0.2
    feed(curriculum, 1.0)
    commands.draw(everywhere)
    assert -0.5 <= commands.values[:, 0].min() < -0.4 and 0.9 < commands.values[:, 0].max() <= 1.0


HARDER = """
import torch
from omni.myriad import RLTask
from omni.myriad.task.curriculum import Curriculum

class Harder(RLTask):
    robot = "cartpole/cartpole.usda"
    robot_position = (0.0, 0.0, 2.0)
    num_actions = 1
    num_observations = 2
    capturable = True

    def post_reset(self):
        settings = {"start": 1.0, "end": 3.0, "step": 1.0, "up_above": 0.0, "episodes": 3}
        self.curricula["force"] = Curriculum("force", settings, self.device)

    def apply_actions(self, actions):
        self.robot.set_joint_efforts(self.curricula["force"].value * actions.expand(-1, 2))

    def get_observations(self):
        self.obs_buf[:] = self.robot.get_joint_positions(clone=False)

    def calculate_metrics(self):
        self.rew_buf[:] = 1.0

    def is_done(self):
        self.reset_buf[:] = self.time_out_buf
        self.curricula["force"].update(self.reset_buf, self.progress_buf.float())
"""


def test_a_tasks_number_is_reported_and_lies_in_its_state(task_of):
    env = task_of(HARDER, "engine=physx", "task.env.episodeLength=4")
    env.reset()
    for _ in range(4):
        *_, extras = env.step(torch.zeros(3, 1))
    assert extras["episode"]["force"].item() == 2.0
    state = env.get_env_state()
    env.task.curricula["force"].value.fill_(0.0)
    env.set_env_state({**state, "num_envs": 4})
    assert env.task.curricula["force"].value.item() == 2.0, "also where nothing else fits"
