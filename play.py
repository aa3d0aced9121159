# SPDX-License-Identifier: Apache-2.0
"""Play a trained policy: python play.py task=Ant checkpoint=runs/Ant/checkpoints/best.pth."""

import sys

from omni.myriad.__main__ import main

if __name__ == "__main__":
    main(["play", *sys.argv[1:]])
