# SPDX-License-Identifier: Apache-2.0
"""The one error that people, not programmers, are meant to read."""


class MyriadError(Exception):
    """Say in one line what was wrong and what would be right.

    Entry points print the message alone and exit with code 2; a traceback means a defect in Myriad or in a task.
    """
