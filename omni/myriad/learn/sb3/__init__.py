# SPDX-License-Identifier: Apache-2.0
"""Stable-Baselines3 as a learner: the only room that knows it."""
