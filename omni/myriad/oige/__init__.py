# SPDX-License-Identifier: Apache-2.0
"""OmniIsaacGymEnvs' own files, unchanged: a checkout that the user names on the command line trains on our PhysX.

`config.py` reads its YAML, `modules.py` answers what its files import, `rl_task.py` is the class that its tasks inherit,
`prims.py` what they author scenes with, `maths.py` its tensor functions, `assets.py` the robots that it takes from
Nucleus, `port.py` says what would change for a file that is to become one of ours.
"""

PACKAGE = "omniisaacgymenvs"
"""Name of the checkout's package."""
