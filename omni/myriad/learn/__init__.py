# SPDX-License-Identifier: Apache-2.0
"""Learners, each in a room of its own that alone knows its library, and what they share: contracts, runs, records."""
