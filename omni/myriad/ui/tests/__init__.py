# SPDX-License-Identifier: Apache-2.0
"""What only a running Isaac Sim can show; Kit's test runner finds it here."""

from omni.myriad.ui.tests.test_in_kit import TestInKit

__all__ = ["TestInKit"]
