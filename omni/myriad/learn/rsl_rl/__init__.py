# SPDX-License-Identifier: Apache-2.0
"""RSL-RL as a learner: the only room that knows it."""
