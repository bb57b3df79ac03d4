"""What `import otto` adds to the start of Python."""

import sys

from measure import interleaved
from place import Place
from processes import spawned
from row import Row, below


def measure(where: Place) -> list[Row]:
    """Row of design 5: `import otto`; both figures are above Python without any import."""

    def python(code: str):
        return spawned(sys.executable, ["-c", code], where.environment)

    sides = {"bare": python("pass"), "ours": python("import otto"), "redis": python("import redis")}
    cost = interleaved(sides, rounds=30, seconds=12, warm_up=2)
    above = {name: (cost[name] - cost["bare"]) * 1e3 for name in ("ours", "redis")}
    what = "import otto, above python"
    return [Row(what, above["ours"], "import redis", above["redis"], "ms", below(10, "ms"))]
