# SPDX-License-Identifier: Apache-2.0
"""Train a task: python train.py task=Ant num_envs=4096."""

import sys

from omni.myriad.__main__ import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
