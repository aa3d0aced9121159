# SPDX-License-Identifier: Apache-2.0
"""rl-games as a learner: the only room that knows it."""
