# SPDX-License-Identifier: Apache-2.0
"""Terrain: tiles worked out by hand, look-ups against geometry, settings that are wrong."""

import math

import numpy as np
import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.terrain import KINDS, Grid, Stairs, Terrain, grid_points, read_settings, share_out

CPU = torch.device("cpu")
FLAT = {"flat": {"kind": "noise", "height": 0.0}}
SMALL = {"levels": 2, "columns": 1, "tile": 1.0, "border": 0.5, "cell": 0.1}


def tile(kind, cells=16, difficulty=0.5, **settings):
    """Return a tile in steps of 0.05 m, on cells of 0.25 m."""
    made = read_settings({"kinds": {"it": {"kind": kind, "platform": 1.0, **settings}}}).kinds["it"]
    return made.heights(Grid(cells, 0.25, 0.05), difficulty, np.random.default_rng(3))


def test_stairs_by_hand():
    up = tile("stairs", height=(0.1, 0.3), width=0.5)
    # Steps of two cells and four steps of height; the platform has four cells.
    assert up[8].tolist() == [0, 0, 4, 4, 8, 8, 12, 12, 12, 12, 8, 8, 4, 4, 0, 0]
    assert up[3].tolist() == [0, 0, *[4] * 12, 0, 0] and (up == up.T).all()
    assert (tile("stairs", height=(-0.1, -0.3), width=0.5) == -up).all()


def test_slope_by_hand():
    ramp = tile("slope", slope=(0.0, 1.0))
    # Rises by 0.5: 20 steps in 2 m, times the part of both ways to the middle; cut at the platform's corner.
    assert ramp[8, 0] == 0 and ramp[8, 4] == 10 and ramp[4, 4] == 5
    assert ramp.max() == int(20 * 0.75 * 0.75) == ramp[8, 8] == ramp[6, 6]
    assert tile("slope", slope=-1.0).min() == -int(40 * 0.75 * 0.75)


def test_gap_waves_and_stones_by_hand():
    ditch = tile("gap", width=0.5, depth=1.0)
    assert ditch[8].tolist() == [0] * 4 + [-20] * 2 + [0] * 4 + [-20] * 2 + [0] * 4
    waves = tile("waves", amplitude=(0.0, 0.4), count=1.0)
    assert waves[4, 0] == 8 and waves[12, 8] == -8 and waves[0, 4] == 0  # 4 steps each: together, and against
    stones = tile("stones", size=0.5, distance=0.25, depth=1.0)
    assert set(np.unique(stones)) == {-20, 0}
    assert (stones[:, 2] == -20).all() and (stones[0, :2] == stones[0, 0]).all(), "rows of two cells, one apart"
    for row in (stones[:, 0], stones[:, 3]):
        assert "".join("x" if height == 0 else "." for height in row) in "xx." * 8


def test_boxes_and_noise_keep_to_their_heights_and_the_platform():
    boxes = tile("boxes", height=(0.1, 0.3), size=(0.5, 1.0), count=10)
    assert set(np.unique(boxes)) <= {-4, -2, 0, 2, 4} and (boxes[6:10, 6:10] == 0).all() and boxes.any()
    noise = tile("noise", height=0.4, cells=64)
    assert 2.0 < np.abs(noise).mean() < 6.0 and np.abs(noise).max() == 8


def test_every_kind_grows_with_difficulty_and_is_drawn_again_alike():
    for kind in KINDS:
        easy, hard = (tile(kind, cells=32, difficulty=d) for d in (0.0, 0.9))
        # Stones grow smaller, so that more of the pit is seen.
        assert np.abs(hard).sum() > np.abs(easy).sum(), kind
        assert (hard == tile(kind, cells=32, difficulty=0.9)).all()


def test_columns_are_shared_out_in_order():
    assert share_out({"a": 0.1, "b": 0.35, "c": 0.55}, 20) == ["a"] * 2 + ["b"] * 7 + ["c"] * 11
    assert share_out({"a": 1.0, "b": 1.0}, 3) == ["a", "a", "b"]


def test_tiles_lie_level_after_level_and_start_on_their_highest_ground():
    kinds = {"down": {"kind": "stairs", "height": (-0.1, -0.3), "width": 0.2, "platform": 0.4}, "flat": FLAT["flat"]}
    terrain = Terrain({**SMALL, "columns": 2, "kinds": kinds}, CPU)
    assert terrain.kinds == ["down", "flat"] and terrain.heights.shape == (30, 30)
    assert not terrain.heights[:, 15:].any() and not terrain.heights[:5].any(), "flat, and the border"
    torch.testing.assert_close(terrain.heights[9, 9].item(), -0.2, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(terrain.heights[19, 9].item(), -0.4, atol=1e-6, rtol=0.0)
    assert terrain.origins[1, 0].tolist() == [1.5, 0.5, 0.0] and terrain.origins[0, 1].tolist() == [0.5, 1.5, 0.0]


@pytest.fixture
def bumpy():
    """Return flat ground of 30 x 20 heights with four of them changed."""
    terrain = Terrain({**SMALL, "kinds": FLAT}, CPU)
    assert terrain.heights.shape == (30, 20)
    terrain.heights[10, 8], terrain.heights[11, 8], terrain.heights[10, 9], terrain.heights[11, 9] = 0.1, 0.2, 0.4, 0.8
    return terrain


def test_heights_on_the_two_triangles_of_a_cell(bumpy):
    # The cell's first corner is at (0.5, 0.3).
    points = torch.tensor([[0.50, 0.30], [0.60, 0.30], [0.55, 0.35], [0.58, 0.32], [0.52, 0.38], [0.45, 0.30]])
    expected = [0.1, 0.2, 0.45, 0.1 + 0.8 * 0.1 + 0.2 * 0.6, 0.1 + 0.8 * 0.3 + 0.2 * 0.4, 0.05]
    torch.testing.assert_close(bumpy.heights_at(points), torch.tensor(expected), atol=1e-5, rtol=0.0)
    assert bumpy.heights_at(torch.tensor([[-90.0, 90.0], [90.0, 0.5]])).tolist() == [0.0, 0.0], "its edge goes on"


def test_the_lower_of_two_opposite_heights(bumpy):
    points = torch.tensor([[0.55, 0.35], [0.55, 0.25], [0.65, 0.35], [0.45, 0.25], [-90.0, 90.0]])
    torch.testing.assert_close(bumpy.lower_at(points), torch.tensor([0.1, 0.0, 0.0, 0.0, 0.0]))


def test_a_scan_turns_with_the_robot(bumpy):
    points = grid_points([0.0, 0.2], [-0.1, 0.0], CPU)
    assert points.tolist() == [[0.0, pytest.approx(-0.1)], [0.0, 0.0], [pytest.approx(0.2), pytest.approx(-0.1)],
                               [pytest.approx(0.2), 0.0]]  # fmt: skip
    half = math.sqrt(0.5)
    turned = torch.tensor([[1.0, 0.0, 0.0, 0.0], [half, 0.0, 0.0, half], [0.0, 0.0, 0.0, 1.0]])
    # The cell (0.55, 0.35) is 0.2 m ahead of each, and they look along x, along y and along -x; heights do not matter.
    positions = torch.tensor([[0.35, 0.35, 0.9], [0.55, 0.15, 0.0], [0.75, 0.35, 0.0]])
    seen = bumpy.scan(positions, turned, points)
    torch.testing.assert_close(seen[:, 3], torch.full((3,), 0.1))
    assert not seen[:, :3].any()
    leaning = torch.tensor([[math.cos(0.3), math.sin(0.3), 0.0, 0.0]])
    torch.testing.assert_close(bumpy.scan(positions[:1], leaning, points), seen[:1])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"level": 3}, r"terrain\.level is no setting; they are: kinds, levels"),
        ({"levels": 0}, r"terrain\.levels=0 is invalid: it must be at least 1"),
        ({"levels": 2.5}, r"terrain\.levels=2\.5 is invalid: it must be a whole number"),
        ({"cell": 0.0}, r"terrain\.cell=0\.0 is invalid: it must be above 0"),
        ({"start_levels": 11}, r"start_levels=11 is invalid: there are 10 levels"),
        ({"after_last": "last"}, r"after_last=last is invalid: it must be random or first"),
        ({"kinds": {"a": {"kind": "hill"}}}, r"kinds\.a\.kind=hill is unknown; the kinds of tiles are: slope, stairs"),
        ({"kinds": {"a": {"kind": "stairs", "depth": 1}}}, r"kinds\.a\.depth is no setting; they are: share"),
        ({"kinds": {"a": {"kind": "gap", "width": [1, 2, 3]}}}, r"a\.width=\[1, 2, 3\] is invalid: .* \[easy, diff"),
        ({"kinds": {"a": {"kind": "gap", "share": 0}}}, r"kinds have no share of the columns"),
    ],
)
def test_what_is_wrong_is_said(section, message):
    with pytest.raises(MyriadError, match=message):
        read_settings(section)


def test_a_section_without_kinds_has_the_usual_ones():
    settings = read_settings({})
    assert list(settings.kinds)[-1] == "boxes"
    assert settings.kinds["stairs_down"] == Stairs(share=0.35, height=(-0.05, -0.225))


WALKER = """
import torch
from omni.myriad import RLTask

class Walker(RLTask):
    robot = "ant/ant.usda"
    robot_position = (0.0, 0.0, 0.6)
    num_actions = 8
    capturable = True

    def apply_actions(self, actions):
        self.robot.set_joint_efforts(actions)

    def get_observations(self):
        self.obs_buf[:] = self.robot.get_world_poses(clone=False)[0]

    num_observations = 3

    def calculate_metrics(self):
        self.rew_buf[:] = 0.0
"""


def test_a_newcomers_robot_starts_on_the_terrain_and_moves_on_by_its_way(task_of):
    section = "{levels: 3, columns: 2, tile: 4.0, border: 4.0, kinds: {up: {kind: stairs, platform: 2.0}}}"
    env = task_of(WALKER, f"+task.env.terrain={section}", "engine=physx", "task.env.episodeLength=20")
    task = env.task
    assert env.reset()["obs"].shape == (3, 3) and task.terrain_levels.tolist() == [0, 0, 0]
    for _ in range(50):
        _, _, dones, extras = env.step(torch.zeros(3, 8))
        if dones.any():
            break
    position = task.robot.get_world_poses()[0]
    assert extras["episode"]["terrain_level"] == 0.0
    torch.testing.assert_close(position[:, :2], task.terrain_origins[:, :2], atol=0.3, rtol=0.0)
    clearance = position[:, 2] - task.terrain.heights_at(position[:, :2])
    assert ((clearance > 0.2) & (clearance < 0.6)).all(), "they lie on it"
    position[1, 0] += 2.5  # more than half a tile
    task.robot.set_world_poses(position)
    env.step(torch.zeros(3, 8))
    assert task.terrain_levels.tolist() == [0, 1, 0]
    torch.testing.assert_close(task.terrain_origins[1], task.terrain.origins[1, task.terrain_columns[1]])
