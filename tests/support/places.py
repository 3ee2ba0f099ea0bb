"""Where the repository is, and the material that is not part of it."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

#: The corpus and the real sounds, which are not part of the repository. (Not CRATESORT_SHARED:
#: the product refuses settings it does not know.)
SHARED = Path(os.environ.get("TEST_SHARED", REPOSITORY.parent / "shared"))
