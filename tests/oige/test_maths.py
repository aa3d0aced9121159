# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from omni.myriad.oige import maths

QUARTER_Z = torch.tensor([[math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]])


def close(got, *expected):
    torch.testing.assert_close(got, torch.tensor(expected, dtype=got.dtype), atol=1e-6, rtol=0)


def test_rotations_by_hand():
    close(maths.quat_axis(QUARTER_Z, 0), [0.0, 1.0, 0.0])
    close(maths.quat_apply(QUARTER_Z, torch.tensor([[0.0, 1.0, 2.0]])), [-1.0, 0.0, 2.0])
    close(
        maths.quat_from_angle_axis(torch.tensor([math.pi / 2]), torch.tensor([[0.0, 0.0, 3.0]])), QUARTER_Z[0].tolist()
    )
    close(maths.quat_diff_rad(QUARTER_Z, torch.tensor([[1.0, 0.0, 0.0, 0.0]])), math.pi / 2)
    close(maths.euler_angles_to_quats(torch.tensor([[0.0, 0.0, 90.0]]), degrees=True), QUARTER_Z[0].tolist())


def test_poses_by_hand():
    ahead = torch.tensor([[1.0, 0.0, 0.0]])
    turned, moved = maths.tf_combine(QUARTER_Z, ahead, QUARTER_Z, ahead)
    close(moved, [1.0, 1.0, 0.0])
    close(turned, [0.0, 0.0, 0.0, 1.0])
    back = maths.tf_combine(*maths.tf_inverse(QUARTER_Z, ahead), QUARTER_Z, ahead)
    close(back[0], [1.0, 0.0, 0.0, 0.0])
    close(back[1], [0.0, 0.0, 0.0])


def test_directions_in_the_plane_have_length_one():
    directions = maths.torch_random_dir_2((50, 1), "cpu")
    assert directions.shape == (50, 2)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(50))
    assert (directions > 0.5).any(0).all() and (directions < -0.5).any(0).all()


@pytest.mark.parametrize("name", ["quat_axis", "quat_from_angle_axis", "tf_combine", "quat_rotate_inverse", "unscale"])
def test_torchscript_compiles_them(name):
    torch.jit.script(getattr(maths, name))
