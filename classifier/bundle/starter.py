"""The starter bundle that ships with the package; imports neither numpy nor an engine."""

import functools
import io
import json
import zipfile
from importlib import resources


def starter_bundle() -> bytes:
    """Return the starter bundle's bytes."""
    return resources.files("classifier").joinpath("starter", "starter.zip").read_bytes()


@functools.cache  # needed for each batch
def starter_version() -> str:
    """Return the version of the starter bundle."""
    with zipfile.ZipFile(io.BytesIO(starter_bundle())) as archive:
        return str(json.loads(archive.read("manifest.json"))["version"])
