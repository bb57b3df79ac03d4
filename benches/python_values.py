"""Reading values from Python: one after the other, and a hundred at once."""

import redis as redis_py

from measure import interleaved, timed
from place import Server
from row import Row, rate

ROUND_TRIPS = 500
BATCH = 100
BATCHES = 20


def measure(otto_server: Server, redis_server: Server) -> list[Row]:
    """Rows of design 5: Python get, and 100 at once; both clients in this one process."""
    import otto

    ours = otto.OttoClient(str(otto_server.socket))
    theirs = redis_py.Redis(unix_socket_path=str(redis_server.socket))
    parser = type(theirs.connection_pool.make_connection()._parser).__name__
    if "Hiredis" not in parser:
        raise SystemExit(f"redis-py reads replies with {parser}: hiredis is not at work")
    keys = [f"bench.value{number}" for number in range(BATCH)]
    for key in keys:
        ours.set(key, "1.2.3")
        theirs.set(key, "1.2.3")
    key = keys[0]

    def pipeline() -> None:
        for _ in range(BATCHES):
            asked = theirs.pipeline(transaction=False)
            for name in keys:
                asked.get(name)
            asked.execute()

    def one_by_one(get) -> None:
        for _ in range(ROUND_TRIPS):
            get(key)

    def many() -> None:
        for _ in range(BATCHES):
            ours.get_many(keys)

    single = interleaved(
        {
            "ours": timed(lambda: one_by_one(ours.get), ROUND_TRIPS),
            "theirs": timed(lambda: one_by_one(theirs.get), ROUND_TRIPS),
        },
        rounds=60,
        seconds=8,
    )
    batch = interleaved(
        {
            "ours": timed(many, BATCH * BATCHES),
            "theirs": timed(pipeline, BATCH * BATCHES),
        },
        rounds=60,
        seconds=5,
    )
    per_second = [1e-3 / cost for cost in (*single.values(), *batch.values())]
    return [
        Row("Python get", per_second[0], "redis-py, hiredis", per_second[1], "k/s", rate(3)),
        Row(
            "Python get_many of 100",
            per_second[2],
            "redis-py pipeline",
            per_second[3],
            "k/s",
            rate(5),
        ),
    ]
