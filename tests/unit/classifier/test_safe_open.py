"""Opening beneath a root: by the kernel's own means, and by ours where it has none."""

import os
import socket
import subprocess
import sys

import pytest

from classifier.errors import ErrorCode, SoundError
from classifier.files import safe_open
from classifier.files.paths import path_text
from classifier.files.safe_open import mtime_ns, open_beneath, open_folder_beneath, open_root
from tests.support.command_line import clean_environment, drop_override
from tests.support.descriptors import opened_root

CONTENT = b"RIFF, and so on"


@pytest.fixture(autouse=True, params=["openat2", "resolving"])
def way_of_opening(request, monkeypatch):
    """Both ways, one after the other, whatever this kernel can."""
    by_kernel = request.param == "openat2"
    if by_kernel and not safe_open._kernel_opens_beneath():
        pytest.skip("this kernel has no openat2, or a sandbox forbids it")
    monkeypatch.setattr(safe_open, "_kernel_opens_beneath", lambda: by_kernel)
    return by_kernel


@pytest.fixture
def root(tmp_path):
    """A root with one sound in a pack, beside a file that is nobody's business."""
    root = tmp_path / "root"
    (root / "pack").mkdir(parents=True)
    (root / "pack" / "kick.wav").write_bytes(CONTENT)
    (tmp_path / "secret").write_bytes(b"secret")
    return root


@pytest.fixture
def root_fd(root):
    """The root, open; and nothing else open when the test is over."""
    with opened_root(root) as fd:
        yield fd


@pytest.fixture
def read(root_fd):
    """What a path leads to, as its content."""

    def read(path, **options):
        fd, status = open_beneath(root_fd, path, **options)
        try:
            content = os.read(fd, 100)
        finally:
            os.close(fd)
        assert status.st_size == len(content)
        return content

    return read


@pytest.fixture
def refusal(root_fd):
    """The error code a path is refused with."""

    def refusal(path, **options):
        with pytest.raises(SoundError) as refused:
            open_beneath(root_fd, path, **options)
        assert refused.value.message
        return refused.value.code

    return refusal


either_way = pytest.mark.parametrize("follow_links", [True, False], ids=["following", "not"])


@either_way
def test_a_regular_file_is_opened(read, follow_links):
    assert read("pack/kick.wav", follow_links=follow_links) == CONTENT


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"\xff\xfe", b"two\nlines.wav", b"back\\x5c.wav"])
def test_a_file_is_opened_by_its_stored_path(read, root, name):
    with open(os.path.join(os.fsencode(root), name), "wb") as file:
        file.write(CONTENT)
    assert read(path_text(name)) == CONTENT


@either_way
@pytest.mark.parametrize("path", ["..", "../secret", "pack/../../secret"])
def test_a_path_that_leaves_the_root_is_refused(refusal, path, follow_links):
    assert refusal(path, follow_links=follow_links) is ErrorCode.OUTSIDE_ROOT


def test_a_path_with_dots_within_the_root_is_opened(read):
    assert read("pack/../pack/kick.wav") == CONTENT


@pytest.mark.parametrize("path", ["/etc/passwd", "", "a\0b", "\ud800"], ids=ascii)
def test_an_invalid_relative_path_is_refused(refusal, path):
    assert refusal(path) is ErrorCode.INVALID_PATH


def test_a_link_within_the_root_is_followed(read, root):
    (root / "twin.wav").symlink_to("pack/kick.wav")
    (root / "packs").symlink_to("pack")
    assert read("twin.wav") == read("packs/kick.wav") == CONTENT


def test_a_link_within_the_root_is_not_followed_if_links_are_disabled(refusal, root):
    (root / "twin.wav").symlink_to("pack/kick.wav")
    (root / "packs").symlink_to("pack")
    assert refusal("twin.wav", follow_links=False) is ErrorCode.OUTSIDE_ROOT
    assert refusal("packs/kick.wav", follow_links=False) is ErrorCode.OUTSIDE_ROOT


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("pack/kick.wav", "leads outside the folder;"),
        ("pack", "leads outside the folder;"),
        ("pack/notes", "leads to a file without an audio extension;"),
    ],
)
def test_a_link_that_is_not_followed_is_refused_with_the_reason(root_fd, root, target, reason):
    (root / "pack" / "notes").touch()
    (root / "link.wav").symlink_to(target)
    with pytest.raises(SoundError) as refused:
        open_beneath(root_fd, "link.wav", follow_links=False)
    assert reason in refused.value.message


@either_way
@pytest.mark.parametrize("target", ["../secret", "{outside}/secret"], ids=["relative", "absolute"])
def test_a_link_that_leaves_the_root_is_refused(refusal, root, target, follow_links):
    (root / "link.wav").symlink_to(target.format(outside=root.parent))
    assert refusal("link.wav", follow_links=follow_links) is ErrorCode.OUTSIDE_ROOT


@either_way
def test_a_folder_link_that_leaves_the_root_is_refused(refusal, root, follow_links):
    (root / "pack" / "up").symlink_to("../..")
    assert refusal("pack/up/secret", follow_links=follow_links) is ErrorCode.OUTSIDE_ROOT


@either_way
def test_a_link_loop_is_reported(refusal, root, follow_links):
    (root / "one.wav").symlink_to("other.wav")
    (root / "other.wav").symlink_to("one.wav")
    assert refusal("one.wav", follow_links=follow_links) is ErrorCode.SYMLINK_LOOP


@either_way
def test_a_dangling_link_is_a_missing_file(refusal, root, follow_links):
    (root / "link.wav").symlink_to("gone.wav")
    assert refusal("link.wav", follow_links=follow_links) is ErrorCode.MISSING_FILE


@either_way
@pytest.mark.parametrize("path", ["gone.wav", "gone/kick.wav", "pack/kick.wav/kick.wav"])
def test_a_missing_file_is_reported(refusal, path, follow_links):
    assert refusal(path, follow_links=follow_links) is ErrorCode.MISSING_FILE


def test_a_name_too_long_for_a_file_system_is_refused(refusal):
    assert refusal("n" * 300 + ".wav") is ErrorCode.INVALID_PATH


@either_way
def test_a_folder_is_refused_as_a_file(refusal, follow_links):
    assert refusal("pack", follow_links=follow_links) is ErrorCode.NOT_A_FILE


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(refusal, root):
    os.mkfifo(root / "pipe.wav")
    assert refusal("pipe.wav") is ErrorCode.NOT_A_FILE


def test_a_socket_is_refused(refusal, root, monkeypatch):
    # Bound under a relative name: the absolute one is longer than a socket's name may be.
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.wav")
        assert refusal("socket.wav") is ErrorCode.NOT_A_FILE


def test_a_device_is_refused():
    # Given a root in which a device is sure to be: only root may create one elsewhere
    root_fd = open_root("/dev")
    try:
        with pytest.raises(SoundError) as refused:
            open_beneath(root_fd, "null")
    finally:
        os.close(root_fd)
    assert refused.value.code is ErrorCode.NOT_A_FILE


def test_a_file_that_is_too_large_is_not_read(read, refusal, root, monkeypatch):
    monkeypatch.setattr(safe_open, "MAX_FILE_SIZE_BYTES", len(CONTENT))
    assert read("pack/kick.wav") == CONTENT
    (root / "pack" / "kick.wav").write_bytes(CONTENT + b"!")
    assert refusal("pack/kick.wav") is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("forbidden", ["pack", "pack/kick.wav"])
def test_an_unreadable_file_is_reported(root, forbidden, way_of_opening, tmp_path):
    # Given a process that obeys permissions even when root runs the tests
    (root / forbidden).chmod(0)
    code = (
        "from classifier.files import safe_open\n"
        f"safe_open._kernel_opens_beneath = lambda: {way_of_opening}\n"
        "from classifier.errors import SoundError\n"
        "try:\n"
        f"    safe_open.open_beneath(safe_open.open_root({str(root)!r}), 'pack/kick.wav')\n"
        "except SoundError as refused:\n"
        "    print(refused.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(tmp_path, {}),
        preexec_fn=drop_override(),
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == (ErrorCode.PERMISSION_DENIED, "")


def test_a_missing_root_is_not_an_error_of_the_sound(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_root(str(tmp_path / "unmounted"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        open_root(str(tmp_path / "file"))


def test_an_opened_file_is_not_inherited_by_other_programs(root_fd):
    fd, _ = open_beneath(root_fd, "pack/kick.wav")
    try:
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_date_beyond_the_database_range_is_clipped(tmp_path):
    path = tmp_path / "future.wav"
    path.touch()
    os.utime(path, ns=(10**19, 10**19))
    assert mtime_ns(path.stat()) == 2**63 - 1


# Folders


@pytest.fixture
def names_in(root_fd):
    """The names in a folder that a path leads to."""

    def names_in(path, **options):
        fd, status = open_folder_beneath(root_fd, path, **options)
        try:
            assert os.path.samestat(status, os.fstat(fd))
            assert not os.get_inheritable(fd)
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    return names_in


@pytest.fixture
def folder_refusal(root_fd):
    """The error code a folder's path is refused with."""

    def refusal(path, **options):
        with pytest.raises(SoundError) as refused:
            open_folder_beneath(root_fd, path, **options)
        return refused.value.code

    return refusal


@either_way
def test_a_folder_is_opened_to_be_listed_and_the_root_is_one(names_in, root, follow_links):
    (root / "pack" / "empty").mkdir()
    assert names_in("pack", follow_links=follow_links) == ["empty", "kick.wav"]
    assert names_in("pack/empty", follow_links=follow_links) == []
    assert names_in("", follow_links=follow_links) == ["pack"]


def test_listing_the_root_twice_starts_from_the_first_name(names_in):
    assert names_in("") == names_in("") == ["pack"]


@either_way
@pytest.mark.parametrize("path", ["pack/kick.wav", "gone", "pack/kick.wav/deeper"])
def test_a_file_is_not_listed_as_a_folder(folder_refusal, path, follow_links):
    assert folder_refusal(path, follow_links=follow_links) is ErrorCode.MISSING_FILE


def test_a_named_pipe_is_refused_as_a_folder_without_waiting(folder_refusal, root):
    os.mkfifo(root / "pipe")
    assert folder_refusal("pipe") is ErrorCode.MISSING_FILE


@either_way
@pytest.mark.parametrize("path", ["..", "../root", "pack/../.."])
def test_a_folder_above_the_root_is_not_listed(folder_refusal, path, follow_links):
    assert folder_refusal(path, follow_links=follow_links) is ErrorCode.OUTSIDE_ROOT


@either_way
@pytest.mark.parametrize("target", ["..", "/", "../root/.."])
def test_a_folder_link_that_leaves_the_root_is_not_listed(
    folder_refusal, root, target, follow_links
):
    (root / "out").symlink_to(target)
    assert folder_refusal("out", follow_links=follow_links) is ErrorCode.OUTSIDE_ROOT


def test_a_folder_link_within_the_root_is_listed_if_links_are_enabled(
    names_in, folder_refusal, root
):
    (root / "twin").symlink_to("pack")
    assert names_in("twin") == ["kick.wav"]
    assert folder_refusal("twin", follow_links=False) is ErrorCode.OUTSIDE_ROOT


@pytest.mark.parametrize("path", ["/etc", "a\0b", "\ud800", "n" * 300], ids=ascii)
def test_an_invalid_folder_path_is_refused(folder_refusal, path):
    assert folder_refusal(path) is ErrorCode.INVALID_PATH
