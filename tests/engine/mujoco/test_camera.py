# SPDX-License-Identifier: Apache-2.0
"""MuJoCo's renderer sees what the ray tracer sees, where it is; without OpenGL the ray tracer draws, and it is said."""

import logging

import pytest
import torch

from omni.myriad.engine.mujoco.view import mujoco

SETTINGS = ("task=CartpoleCamera", "engine=mujoco", "num_envs=1", "task.env.cameraType=depth")
CART = 4.2 - 0.1  # m from the camera to the front of the cart, along x


def look(env, cart):
    """Put the cart somewhere, and return depth as the camera sees it."""
    env.task.cartpoles.set_joint_positions(torch.tensor([[cart, 0.0]]))
    env.engine.update_kinematics()
    return env.task.camera.get_depth()[0, ..., 0]


def nearest(depth):
    """Return the nearest distance, and the column in which it is most often."""
    column = (depth < depth.min() + 0.05).sum(0).argmax().item()
    return depth.min().item(), column


def test_the_cart_is_where_it_is(env_of):
    env = env_of(*SETTINGS)
    env.reset()
    (middle, column), (aside, left) = nearest(look(env, 0.0)), nearest(look(env, 0.8))
    assert middle == pytest.approx(CART, abs=0.1) and aside == pytest.approx(CART, abs=0.1)
    pixels = 0.8 * 64 * 24.0 / 20.955 / CART
    assert abs(column - 32) <= 3 and abs(column - left - pixels) <= 3


def test_without_opengl_the_ray_tracer_draws_and_one_line_says_so(env_of, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("no display\nand much more")

    monkeypatch.setattr(mujoco, "Renderer", refuse)
    env = env_of(*SETTINGS)
    with caplog.at_level(logging.WARNING):
        env.reset()
        assert nearest(look(env, 0.0))[0] == pytest.approx(CART, abs=0.1)
    said = [record.getMessage() for record in caplog.records if "MuJoCo cannot draw" in record.getMessage()]
    assert len(said) == 1 and "(no display)" in said[0] and "\n" not in said[0]
