# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omni.myriad import maths as tu

HALF = math.sqrt(0.5)
ABOUT_Z = torch.tensor([[HALF, 0.0, 0.0, HALF]])  # 90 degrees about z
X, Y, Z = torch.eye(3).unsqueeze(1)

angles = st.floats(-3.0, 3.0)


def test_a_quarter_turn_about_z_takes_x_to_y():
    torch.testing.assert_close(tu.quat_rotate(ABOUT_Z, X), Y, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(tu.quat_rotate_inverse(ABOUT_Z, Y), X, atol=1e-6, rtol=0.0)


def test_two_quarter_turns_are_a_half_turn():
    half_turn = tu.quat_mul(ABOUT_Z, ABOUT_Z)
    torch.testing.assert_close(half_turn, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), atol=1e-6, rtol=0.0)


@given(angles, angles, angles)
def test_product_rotates_as_one_after_the_other(a, b, c):
    p = tu.quat_from_euler_xyz(*torch.tensor([[a], [b], [c]]))
    v = torch.tensor([[0.3, -1.2, 0.7]])
    torch.testing.assert_close(
        tu.quat_rotate(tu.quat_mul(ABOUT_Z, p), v), tu.quat_rotate(ABOUT_Z, tu.quat_rotate(p, v)), atol=1e-5, rtol=0.0
    )


@given(angles, st.floats(-1.5, 1.5), angles)
def test_euler_angles_come_back(roll, pitch, yaw):
    expected = torch.tensor([roll, pitch, yaw])
    found = torch.cat(tu.get_euler_xyz(tu.quat_from_euler_xyz(*expected[:, None])))
    assert (found >= 0.0).all() and (found < math.tau + 1e-6).all()
    torch.testing.assert_close(tu.normalize_angle(found - expected), torch.zeros(3), atol=2e-3, rtol=0.0)


def test_unscale_maps_limits_to_one():
    lower, upper = torch.tensor([-2.0]), torch.tensor([6.0])
    assert tu.unscale(torch.tensor([-2.0]), lower, upper).item() == -1.0
    assert tu.unscale(torch.tensor([4.0]), lower, upper).item() == pytest.approx(0.5)
    assert tu.scale(torch.tensor([0.5]), lower, upper).item() == pytest.approx(4.0)


def test_heading_and_up_of_a_turned_torso():
    upright = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    _, up, heading, _, heading_vec = tu.compute_heading_and_up(ABOUT_Z, upright, 5.0 * X, X, Z, 2)
    assert up.item() == pytest.approx(1.0)
    assert heading.item() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(heading_vec, Y, atol=1e-6, rtol=0.0)


def test_velocity_of_a_turned_torso_in_its_own_frame():
    vel, ang, roll, pitch, yaw, angle = tu.compute_rot(ABOUT_Z, Y, Z, torch.tensor([[1000.0, 0.0, 0.0]]), 0.0 * X)
    torch.testing.assert_close(vel, X, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(ang, Z, atol=1e-6, rtol=0.0)
    assert (roll.item(), pitch.item()) == (0.0, 0.0)
    assert yaw.item() == pytest.approx(math.pi / 2)
    assert angle.item() == pytest.approx(-math.pi / 2)
