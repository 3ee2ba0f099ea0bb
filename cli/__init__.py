"""The command line. Every command imports what it needs when it runs."""

import os
import sys

# ``python -m cli`` puts the current folder first on `sys.path`, and it may contain another user's
# modules. `sys.argv` is ``["-m"]`` while Python looks for the package.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    _HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if os.path.realpath(sys.path[0]) != _HERE:
        del sys.path[0]
