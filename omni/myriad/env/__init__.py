# SPDX-License-Identifier: Apache-2.0
"""VecEnv, and the capture of its steps as CUDA graphs."""
