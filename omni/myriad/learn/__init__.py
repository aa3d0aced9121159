# SPDX-License-Identifier: Apache-2.0
"""Learners, each in a room of its own, and the record of a run."""
