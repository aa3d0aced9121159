# SPDX-License-Identifier: Apache-2.0
"""What a person meets: command line, configuration, runs and their folders, doctor."""
