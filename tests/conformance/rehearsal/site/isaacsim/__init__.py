# SPDX-License-Identifier: Apache-2.0
"""Takes the place of the package `isaacsim`: importing it makes the stand-in for Kit what SimulationApp starts."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import standin

standin.install(Path(os.environ["MYRIAD_REHEARSAL"]))
