"""Zip archives of bundles: reproducible when written, untrusted when read.

Nothing is extracted to disk, only known members are read, and the size of each is limited.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from classifier.errors import BundleError

#: Size limits of an archive and a member, far above a real bundle (6 MB, 16 MB unpacked).
MOST_BUNDLE_BYTES: Final = 64 * 2**20
MOST_MEMBER_BYTES: Final = 128 * 2**20

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Raised by zipfile for damaged, encrypted or unusual archives; RuntimeError means encrypted.
_FAULTS: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


def pack(members: Mapping[str, bytes]) -> bytes:
    """Pack members into a zip, in the order given; equal members give equal bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            # ZipInfo's default date is fixed (1980), so an archive's bytes do not depend on the
            # clock.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


class Archive:
    """A packed bundle whose members are read one at a time, with size limits.

    Raises BundleError: it is too large, not a zip, or its members are not exactly `names`.
    """

    def __init__(self, packed: bytes, names: tuple[str, ...]) -> None:
        if len(packed) > MOST_BUNDLE_BYTES:
            raise BundleError(
                f"the bundle has {len(packed):,} bytes; expected at most {MOST_BUNDLE_BYTES:,}"
            )
        try:
            # Never closed: the bundle is in memory, so there is no descriptor to leak.
            self._zip = zipfile.ZipFile(io.BytesIO(packed))
            members = [member.filename for member in self._zip.infolist()]
        except _FAULTS as fault:
            raise BundleError(f"not a model bundle: {fault}") from fault
        if sorted(members) != sorted(names):
            unknown = sorted(set(members) - set(names))[:3]
            missing = sorted(set(names) - set(members))
            raise BundleError(
                f"not a model bundle: it has {len(members)} members; expected {len(names)}"
                + (f"; missing {', '.join(missing)}" if missing else "")
                + (f"; unknown {', '.join(map(ascii, unknown))}" if unknown else "")
            )

    def read(self, name: str) -> bytes:
        """Return one member; BundleError when it is damaged or larger than `MOST_MEMBER_BYTES`."""
        member = self._zip.getinfo(name)
        if member.compress_type not in _METHODS:
            raise BundleError(
                f"{name} has an unsupported compression method; expected stored or deflated"
            )
        if member.file_size > MOST_MEMBER_BYTES:
            raise BundleError(
                f"{name} states {member.file_size:,} bytes; expected at most {MOST_MEMBER_BYTES:,}"
            )
        try:
            with self._zip.open(member) as file:
                # zipfile reads no more than the stated size, and checks the CRC.
                return file.read(member.file_size)
        except _FAULTS as fault:
            raise BundleError(f"{name} is damaged: {fault}") from fault
