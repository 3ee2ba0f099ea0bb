"""Where the repository is, and the material that is not part of it."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

#: The corpus and the real sounds, which are not part of the repository.
SHARED = Path(os.environ.get("CRATESORT_SHARED", REPOSITORY.parent / "shared"))
