"""JSON text to store: in pairs of one size, so that every write changes something."""

import json
import random

SMALL = (
    b'{"version":"1.2.3","count":12345,"names":["a","b","c"],"ok":1.5}',
    b'{"version":"1.2.4","count":12346,"names":["a","b","d"],"ok":2.5}',
)

WORDS = ["new", "sale", "archived", "checked", "\u00e9t\u00e9"]


def realistic(size: int) -> tuple[bytes, bytes]:
    """Two texts of exactly `size` bytes, as a task's state looks.

    Objects with numbers, short strings, arrays and a few letters that are not ASCII, about 190
    bytes each, a string of x to fill up. The two differ in every object.
    """
    return _realistic(size, 1), _realistic(size, 2)


def _realistic(size: int, seed: int) -> bytes:
    chance = random.Random(seed)
    rows: list[dict] = []
    while len(_encoded(rows, "")) <= size:
        rows.append(
            {
                "id": 1000 + 7 * len(rows),
                "name": f"item {chance.randrange(10**6)}",
                "price": round(chance.random() * 1000, 2),
                "tags": chance.sample(WORDS, 2),
                "active": chance.random() < 0.5,
                "ratio": chance.random(),
                "note": None,
                "path": f"/usr/share/doc/{chance.randrange(2**32):x}/copyright",
            }
        )
    rows.pop()
    filler = "x" * (size - len(_encoded(rows, "")))
    return _encoded(rows, filler)


def _encoded(rows: list[dict], filler: str) -> bytes:
    value = {"rows": rows, "filler": filler}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
