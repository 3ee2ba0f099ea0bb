"""The set of what an ingest has found."""

from tasks.producer import dedupe
from tasks.producer.dedupe import seen_sounds


def test_a_sound_is_new_once():
    with seen_sounds() as found:
        assert found.add("main", "a.wav")
        assert not found.add("main", "a.wav")
        assert found.add("main", "b.wav")
        assert found.add("other", "a.wav")


def test_more_sounds_than_memory_may_hold_are_told_apart(monkeypatch):
    monkeypatch.setattr(dedupe, "_CACHE_KIB", 64)
    names = [f"{number}.wav" for number in range(20_000)]
    with seen_sounds() as found:
        assert all(found.add("main", name) for name in names)
        assert not any(found.add("main", name) for name in names)
