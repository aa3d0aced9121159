# SPDX-License-Identifier: Apache-2.0
class Randomizer:
    def __init__(self, main_config, task_config):
        self.randomize = False
