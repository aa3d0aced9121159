# SPDX-License-Identifier: Apache-2.0
"""rl-games as a learner: the only room that knows it."""

from omni.myriad.learn.rl_games.settings import skip_test_networks

skip_test_networks()  # before any module of this room imports rl-games
