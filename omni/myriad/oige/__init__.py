# SPDX-License-Identifier: Apache-2.0
"""OmniIsaacGymEnvs' own files, unchanged: a checkout that the user names on the command line trains on our PhysX.

`config.py` reads its YAML and finds its tasks; `modules.py` answers what its files import, with `rl_task.py` (the class
that tasks inherit), `views.py`, `prims.py` (what they author scenes with), `maths.py` and `replicator.py` (domain
randomization) behind it; `assets.py` and `shapes.py` stand in for robots on Nucleus; `port.py` says what would change
for a file that is to become one of ours.
"""

PACKAGE = "omniisaacgymenvs"
"""Name of the checkout's package."""
