# SPDX-License-Identifier: Apache-2.0
"""Export a trained policy: python export.py task=Ant checkpoint=runs/Ant/checkpoints/best.pth."""

import sys

from omni.myriad.__main__ import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
