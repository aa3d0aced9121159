# SPDX-License-Identifier: Apache-2.0
"""A checkout in small, written for the tests: only what Myriad looks for in OmniIsaacGymEnvs."""


def import_tasks():
    from omniisaacgymenvs.tasks.broken import BrokenTask
    from omniisaacgymenvs.tasks.swing import SwingTask as Renamed

    task_map = {"Swing": Renamed, "SwingSlow": Renamed, "Broken": BrokenTask}
    return task_map, {}
