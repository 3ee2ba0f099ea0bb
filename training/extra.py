"""Check that the packages of the optional extra ``[training]`` are installed."""

from importlib.util import find_spec
from typing import Final

from training.errors import MissingExtraError

#: Import names of the extra ``[training]``.
TRAINING_PACKAGES: Final = (
    "tensorflow", "keras", "pandas", "sklearn", "skl2onnx", "onnx", "joblib", "jinja2",
    "matplotlib",
)  # fmt: skip


def require_training_extra() -> None:
    """Raise `MissingExtraError` unless all packages are installed, without importing them."""
    missing = [package for package in TRAINING_PACKAGES if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"training needs packages that are not installed ({', '.join(missing)}). In the clone, "
            "run: pip install '.[training]'"
        )
