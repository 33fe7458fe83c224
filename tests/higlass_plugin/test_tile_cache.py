"""The cache of a server: bytes counted, the least recently used dropped."""

from __future__ import annotations

from higlass_plugin.compute.cache import Cache


def test_the_least_recently_used_is_dropped():
    cache = Cache(10)
    for key, size in (("a", 4), ("b", 4)):
        cache.put(key, key.upper(), size)
    assert cache.get("a") == "A"
    cache.put("c", "C", 4)
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    assert (len(cache), cache.nbytes) == (2, 8)
    assert cache.get("b") is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_a_value_larger_than_the_cache_is_not_kept_and_replaces_the_old_one():
    cache = Cache(10)
    cache.put("a", 1, 4)
    cache.put("a", 2, 6)
    assert (cache.get("a"), cache.nbytes) == (2, 6)
    cache.put("a", 3, 11)
    assert (cache.get("a"), cache.nbytes, len(cache)) == (None, 0, 0)


def test_unwanted_keys_are_dropped():
    cache = Cache(10)
    for key in range(5):
        cache.put(key, str(key), 1)
    cache.drop(lambda key: key % 2 == 0)
    assert [key for key in range(5) if key in cache] == [1, 3]
    assert cache.nbytes == 2
