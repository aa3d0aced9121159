# SPDX-License-Identifier: Apache-2.0
"""Domain randomization."""
from typing import Any
CORE: dict[str, Any] = {}
ISAAC: dict[str, Any] = {}
