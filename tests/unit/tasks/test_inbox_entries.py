"""One entry of the inbox: which sound it names, or why none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.files.paths import path_bytes
from tasks.inbox.entries import read_entries
from tasks.inbox.redis_lists import LONGEST_ENTRY_BYTES
from tasks.producer.locator import Locator
from tests.support import sounds
from workers.settings import Settings


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """A library root with one sound, and a second root within it."""
    folder = tmp_path_factory.mktemp("packs")
    (folder / "Acme").mkdir()
    (folder / "inner" / "deep").mkdir(parents=True)
    (folder / "Acme" / "kick.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture(scope="module")
def locator(packs):
    roots = {"packs": packs, "inner": packs / "inner"}
    return Locator(Settings(broker_url="redis://localhost", library_roots=roots))


@pytest.fixture
def taken(locator):
    """What becomes of an entry that can be taken."""

    def read(entry):
        named, bad = read_entries([entry], locator)
        assert [one.reason for one in bad] == []
        return named[0]

    return read


@pytest.fixture
def refused(locator):
    """The reason why an entry cannot be taken."""

    def read(entry):
        named, bad = read_entries([entry], locator)
        assert named == []
        assert bad[0].entry == entry
        return bad[0].reason

    return read


def as_json(**said):
    return json.dumps(said).encode()


# What is taken


def test_a_plain_path_is_accepted_unchanged(taken, packs):
    sound = taken(b"%s/Acme/kick.wav" % bytes(packs)).sound
    assert (sound.root, sound.path, sound.pack, sound.vendor) == (
        "packs", "Acme/kick.wav", "Acme", "Acme",
    )  # fmt: skip
    assert sound.file_size_bytes == len(sounds.encoded())


def test_an_object_may_have_root_vendor_and_label(taken):
    asked = taken(as_json(path="Acme/kick.wav", root="packs", vendor=" Ac/me ", label="drum"))
    assert (asked.sound.root, asked.sound.path) == ("packs", "Acme/kick.wav")
    assert (asked.sound.vendor, asked.label) == ("Ac/me", "drum")


@pytest.mark.parametrize("nothing", [None, "", "  "], ids=repr)
def test_empty_and_null_values_count_as_absent(taken, packs, nothing):
    path = f"{packs}/Acme/kick.wav"
    asked = taken(as_json(path=path, root=nothing, vendor=nothing, label=nothing))
    assert (asked.sound.root, asked.sound.vendor, asked.label) == ("packs", "Acme", None)


def test_an_object_may_name_an_absolute_path_within_its_root(taken, packs):
    assert taken(as_json(root="packs", path=f"{packs}/Acme/kick.wav")).sound.path == "Acme/kick.wav"


def test_a_missing_file_is_accepted_and_reported_by_a_worker(taken, packs):
    sound = taken(b"%s/Acme/gone.wav" % bytes(packs)).sound
    assert (sound.path, sound.file_size_bytes) == ("Acme/gone.wav", None)


def test_a_path_in_nested_roots_belongs_to_the_inner_one(taken):
    sound = taken(as_json(root="packs", path="inner/deep/a.wav")).sound
    assert (sound.root, sound.path) == ("inner", "deep/a.wav")


@pytest.mark.parametrize("said", ["path", "JSON"])
def test_a_name_that_is_not_utf_8_resolves_to_its_file(taken, packs, said):
    path = bytes(packs) + b"/Acme/caf\xe9.wav"
    entry = path if said == "path" else as_json(path=path.decode(errors="surrogateescape"))
    assert path_bytes(taken(entry).sound.path) == b"Acme/caf\xe9.wav"


def test_a_backslash_in_json_is_a_backslash(taken):
    sound = taken(as_json(root="packs", path=r"Acme/caf\xe9.wav")).sound
    assert path_bytes(sound.path) == rb"Acme/caf\xe9.wav"


# What is not


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"", "empty"),
        (b"Acme/kick.wav", "relative and it names no root"),
        (b"\xff\xfe", "relative and it names no root"),
        (b"/etc/passwd", "is in no library root"),
        (b"/" + 5000 * b"a", "bytes is too long"),
        (b"/a\0b", "NUL"),
        (b"{", "not JSON"),
        (b"{}", "it has no path"),
        (b'{"path": ""}', "it has no path"),
        (b'{"path": "\xff"}', "not UTF-8"),
        (b'{"path": 1}', "its path is '1': expected a string"),
        (b'{"path": ["a"]}', "expected a string"),
        (b'{"path": "/a", "lable": "drum"}', "unknown key 'lable'; did you mean 'label'?"),
        (b'{"path": "/a", "size": "1"}', "unknown key 'size'; expected path, root"),
        (b'{"path": "/a", "label": "drums"}', "unknown category 'drums': expected one of bass"),
        (b'{"path": "/a", "vendor": "\\u0000"}', "its vendor contains a NUL"),
        (b'{"path": "/\\u0000", "root": "packs"}', "NUL"),
        (b'{"path": "/a\\ud800"}', "half a surrogate pair"),
        (
            b'{"path": "a", "root": "nowhere"}',
            "'nowhere' is not configured on this host (configured: inner, packs)",
        ),
        (b'{"path": "../a", "root": "packs"}', "outside of the library root 'packs'"),
        (b'{"path": ".", "root": "packs"}', "outside of the library root 'packs'"),
        (b'{"path": "/etc/passwd", "root": "packs"}', "outside of the library root 'packs'"),
        (b'{"path": ' + 30_000 * b"[", "not JSON: nested too deep"),
        (b'{"path": 1' + 60_000 * b"0" + b"}", "not JSON"),
        ((LONGEST_ENTRY_BYTES + 1) * b"{", "longer than 65,536 bytes"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_an_invalid_entry_is_refused_with_the_reason(refused, entry, reason):
    assert reason in refused(entry)


def test_a_library_root_itself_is_refused(refused, packs):
    assert "is a library root, not a file" in refused(bytes(packs))


def test_a_vendor_is_cut_to_the_length_of_a_name(refused):
    entry = as_json(root="packs", path="a.wav", vendor=256 * "v")
    assert refused(entry) == "its vendor has 256 characters; expected at most 255"


@pytest.fixture
def outside(packs, tmp_path):
    """Paths that lie outside: by themselves, by a link; of a file, of nothing, of a secret."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "to-secret").symlink_to("secret")
    (tmp_path / "loop").symlink_to("loop")
    way_out = packs / "way-out"
    way_out.symlink_to(tmp_path)
    yield [
        folder / name
        for folder in (tmp_path, way_out)
        for name in ("secret", "nothing", "to-secret", "loop/x", "secret/x")
    ] + [tmp_path, "/proc/1/cwd/x", "/etc"]
    way_out.unlink()


def test_a_reason_reveals_nothing_outside_the_roots(refused, outside):
    """Nor where a link leads: who pushes may learn nothing of the intake's host."""
    reasons = {refused(str(path).encode()) for path in outside}
    assert len(reasons) == 1
    assert not any("/" in reason for reason in reasons)


def test_a_reason_is_escaped_and_bounded(refused):
    reason = refused(as_json(path="/\x1b[2J" + 4000 * "\x1b"))
    assert "\x1b" not in reason
    assert len(reason) <= 1000


def test_a_bad_entry_does_not_affect_the_others(locator, packs):
    good = b"%s/Acme/kick.wav" % bytes(packs)
    named, bad = read_entries([b"{", good, b"", good], locator)
    assert (len(named), [one.entry for one in bad]) == (2, [b"{", b""])


_JSON = st.recursive(st.none() | st.booleans() | st.text(max_size=9), st.lists, max_leaves=3)


@given(
    st.binary(max_size=200)
    | st.binary(max_size=200).map(b"{".__add__)
    | st.dictionaries(
        st.sampled_from(["path", "root", "vendor", "label"]) | st.text(max_size=5), _JSON
    ).map(lambda said: json.dumps(said).encode())
)
def test_every_entry_is_either_accepted_or_refused(locator, entry):
    named, bad = read_entries([entry], locator)
    assert len(named) + len(bad) == 1
