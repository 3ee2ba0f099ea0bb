"""The command line. Every command imports what it needs when it runs."""

import os
import sys

# ``python -m cli`` imports from the current folder first, which may be a stranger's. `sys.argv` is
# this while Python looks for the package.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    _HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if os.path.realpath(sys.path[0]) != _HERE:
        del sys.path[0]
