"""How many runs may be under way: counted from what is stored, and from what is just being stored."""

from __future__ import annotations

from .cache import Cache, Key
from .decide.run import active


class Slots:
    """Places for runs. A pass takes one before it stores a run, so that two passes cannot both take the last one."""

    def __init__(self, cache: Cache, in_all: int, per_namespace: int) -> None:
        self._cache = cache
        self._in_all = in_all
        self._per_namespace = per_namespace
        self._taken: set[Key] = set()
        self._refused: dict[Key, None] = {}

    def take(self, key: Key) -> bool:
        """Take a place for this pass; whether there was one. Who got none is remembered, in order."""
        if not self._room(self._busy() - {key}, key):
            self._refused[key] = None
            return False
        self._refused.pop(key, None)
        self._taken.add(key)
        return True

    def give_back(self, key: Key) -> None:
        """The pass is over: what it stored counts by itself."""
        self._taken.discard(key)

    def waiting(self, but: Key) -> list[Key]:
        """Who waits for a place that is free now, first come first; each is told once.

        Nobody is told without a place: two that wait would wake each other for ever.
        """
        if not self._refused:
            return []
        busy, told = self._busy(), []
        for key in [key for key in self._refused if key != but]:
            if self._cache.resources.get(key) is None:
                del self._refused[key]
            elif self._room(busy, key):
                del self._refused[key]
                busy.add(key)
                told.append(key)
        return told

    def _busy(self) -> set[Key]:
        """Who has a place."""
        return {
            resource.key for resource in self._cache.all_resources() if active(resource.status)
        } | self._taken

    def _room(self, busy: set[Key], key: Key) -> bool:
        """Whether there is a place for one more, beside those."""
        namespace = sum(1 for other in busy if other[0] == key[0])
        return len(busy) < self._in_all and namespace < self._per_namespace
