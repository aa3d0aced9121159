# SPDX-License-Identifier: Apache-2.0
"""Many trainings of one task: which settings to try, Ray to try them, and what came of it."""
