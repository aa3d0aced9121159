# SPDX-License-Identifier: Apache-2.0
"""Plain MuJoCo, one robot on the CPU: the judge of policies."""
