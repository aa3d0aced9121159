# SPDX-License-Identifier: Apache-2.0
"""The record of a run: progress on the screen, TensorBoard, wandb, curves."""
