"""The split without affinity: randomised blocks, exact over 10,000 draws and nearly so over 100.

The 10,000 buckets form 100 strata of 100 buckets. A block of 100 draws visits every stratum once, in a new random
order; 100 blocks make a cycle, in which each visit to a stratum takes another of its places, again in random order. So
a cycle of 10,000 draws yields every bucket exactly once, and the share is exact for every weight at the same time.

For a weight of `100 * a + r` basis points, 0 <= r < 100, the requests that go to canary number
- exactly `100 * a + r` in every cycle,
- `a` or `a + 1` in every block (`a` where r is 0),
- between `2 * a - 100` and `2 * (a + 1)` in any 100 draws in a row, since they lie in at most two blocks
  (`2 * a` at most where r is 0).

Both orders are drawn one step at a time (Fisher and Yates, from the end), so no draw has to shuffle 10,000 elements. A
shuffle is uniform from any initial order, so the arrays are never reset. One random number serves both steps: its whole
part picks the stratum, the fraction, which has 46 random bits left, the place.

Measure with `python -m timeit -s "import random; from canaryproxy.routing.split import BlockSplit" -s
"split = BlockSplit(random.random)" "split.draw()"`: 0.3 to 0.5 microseconds on CPython 3.11.
"""

from collections.abc import Callable, Set

STRATA = 100
PLACES_PER_STRATUM = 100

# Random numbers in [0, 1).
Rng = Callable[[], float]

# Route name and split name.
SplitKey = tuple[str, str]


class BlockSplit:
    """One sequence of buckets. `rng` yields floats in [0, 1). Takes about 10 KiB."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._order = bytearray(range(STRATA))
        self._places = bytearray(range(PLACES_PER_STRATUM)) * STRATA
        self._strata_left = STRATA
        self._blocks_left = PLACES_PER_STRATUM

    def __repr__(self) -> str:
        drawn = (PLACES_PER_STRATUM - self._blocks_left) * STRATA + STRATA - self._strata_left
        return f"<BlockSplit: {drawn} of {STRATA * PLACES_PER_STRATUM} buckets of this cycle drawn>"

    def draw(self) -> int:
        """The next bucket, 0..9999. The request goes to the canary if the bucket is below the weight."""
        left = self._strata_left
        order = self._order
        point = self._rng() * left
        pick = int(point)
        left -= 1
        stratum = order[pick]
        order[pick] = order[left]
        order[left] = stratum

        blocks = self._blocks_left
        places = self._places
        first = stratum * PLACES_PER_STRATUM
        last = first + blocks - 1
        pick = first + int((point - pick) * blocks)
        place = places[pick]
        places[pick] = places[last]
        places[last] = place

        if left:
            self._strata_left = left
        else:
            self._strata_left = STRATA
            self._blocks_left = blocks - 1 or PLACES_PER_STRATUM
        return first + place


class Splits:
    """The splits of a worker. They outlive the tables, so a reload does not restart a cycle."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self._splits: dict[SplitKey, BlockSplit] = {}

    def __repr__(self) -> str:
        return f"<Splits {self._splits!r}>"

    def __len__(self) -> int:
        return len(self._splits)

    def draw(self, key: SplitKey) -> int:
        """The next bucket, 0..9999, of this route's split of this name."""
        split = self._splits.get(key)
        if split is None:
            split = self._splits[key] = BlockSplit(self.rng)
        return split.draw()

    def forget(self, keep: Set[str]) -> None:
        """Drop the splits of all routes but those named. A route that comes back starts a new cycle."""
        for key in [key for key in self._splits if key[0] not in keep]:
            del self._splits[key]
