# SPDX-License-Identifier: Apache-2.0
"""RSL-RL as a learner: the only room that knows it."""

import os

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it imports GitPython, which fails where there is no git
