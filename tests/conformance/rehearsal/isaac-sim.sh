#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As Isaac Sim's: starts Kit with its window and the extensions that the arguments name.
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
exec "$MYRIAD_REHEARSAL_PYTHON" "$here/gui.py" "$@"
