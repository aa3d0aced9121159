# SPDX-License-Identifier: Apache-2.0
"""A live page: robots as they move, what they observe, and hands that may pause, push and reset them.

`source.py` is in the process that simulates, and does nothing while nobody looks. `page.py` is a process of its own
with the web server, so that no browser ever holds up a step. `wire.py` is what they say to each other.
"""
