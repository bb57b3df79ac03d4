"""Ordinary use of redis-py on the socket given: our server and Redis make it print the same."""

import sys
import threading

import redis

# redis-py 8 asks for RESP3 unless told otherwise.
db = redis.Redis(unix_socket_path=sys.argv[1], protocol=2)
text = redis.Redis(unix_socket_path=sys.argv[1], protocol=2, decode_responses=True)


def show(what: str, value: object) -> None:
    print(f"{what}: {value!r}")


def fails(what: str, call) -> None:
    try:
        show(what, call())
    except redis.RedisError as error:
        print(f"{what}: {type(error).__name__}: {error}")


show("ping", db.ping())
show("set", db.set("build.version", "1.2.3"))
show("get", (db.get("build.version"), text.get("build.version"), db.get("none")))
show("nx", db.set("build.version", "x", nx=True))
show("get=", db.set("build.version", "2.0", get=True, ex=1000))
show("ttl", 990 < db.ttl("build.version") <= 1000)
show("persist", (db.persist("build.version"), db.ttl("build.version"), db.ttl("none")))
show("unicode", (text.set("ключ", "é\n😀"), text.get("ключ")))
binary = bytes(range(256)) * 40
show("binary", (db.set("binary", binary), db.get("binary") == binary, db.strlen("binary")))
show("large", (db.set("large", b"x" * 2_000_000), len(db.get("large")), db.delete("large")))

show("mset", db.mset({"a": 1, "b": 2.5, "c": "three"}))
show("mget", db.mget("a", "b", "none", "c"))
show("incr", (db.incr("a"), db.incr("a", 10), db.decr("a", 2), db.incrbyfloat("b", 0.1)))
show("append", (db.append("c", "!"), db.getdel("c"), db.exists("a", "b", "c")))
show("setnx", (db.setnx("a", 1), db.setnx("d", 1), db.setex("e", 100, "v")))
fails("incr of text", lambda: db.incr("build.version"))

show("push", (db.rpush("queue", "one", "two", 3), db.lpush("queue", "zero")))
show("range", text.lrange("queue", 0, -1))
show("pop", (db.lpop("queue"), db.rpop("queue", 2), db.llen("queue"), db.lindex("queue", 0)))
show("blpop", (db.blpop(["none", "queue"], timeout=1), db.blpop("queue", timeout=0.01)))
fails("wrong type", lambda: db.lpush("a", 1))
fails("unknown", lambda: db.execute_command("HSETX", "h", "f", 1))
fails("arity", lambda: db.execute_command("GET"))

show("keys", (sorted(text.keys("[ab]*")), db.type("a"), db.rename("a", "renamed")))
show("scan", sorted(text.scan_iter(match="*e*", count=2)))
fails("rename", lambda: db.rename("none", "x"))

with db.pipeline() as pipe:
    pipe.set("p", 1).incr("p").lpush("p", 1).get("p")
    show("transaction", pipe.execute(raise_on_error=False))
with db.pipeline(transaction=False) as pipe:
    for n in range(100):
        pipe.rpush("numbers", n)
    show("pipeline", pipe.execute()[-1])
fails("select", lambda: redis.Redis(unix_socket_path=sys.argv[1], protocol=2, db=1).ping())
show("clients", (db.client_setname("me"), db.client_getname(), db.config_get("save")))
show("info", {name: db.info()[name] for name in ("redis_version", "loading", "role")})

listener = text.pubsub()
listener.subscribe("news")
listener.psubscribe("n*")
told = [listener.get_message(timeout=10) for _ in range(2)]
show("receivers", db.publish("news", "hello"))
told += [listener.get_message(timeout=10) for _ in range(2)]
listener.unsubscribe()
told.append(listener.get_message(timeout=10))
show("messages", told)
listener.close()

waiting = threading.Thread(target=lambda: show("woken", text.blpop("later", timeout=10)))
waiting.start()
while db.info("clients")["blocked_clients"] < 1:
    pass
db.rpush("later", "now")
waiting.join()
show("flush", (db.flushall(), db.dbsize()))
