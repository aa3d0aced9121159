# SPDX-License-Identifier: Apache-2.0
"""skrl as a learner: the only room that knows it."""
