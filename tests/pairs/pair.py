"""The Python side of the language pairs; see rust-client.rs for the verbs."""

import json
import sys
from pathlib import Path

import otto


def values(folder):
    for path in sorted(Path(folder).glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def keep(out, name, value):
    path = Path(out, name)
    path.with_suffix(".json").write_text(json.dumps(value))
    if isinstance(value, str):
        path.with_suffix(".txt").write_bytes(value.encode())


def write(folder):
    for name, value in values(folder):
        otto.set(f"pair.{name}", value)


def read(folder, out):
    for name, _ in values(folder):
        keep(out, name, otto.get(f"pair.{name}"))


def send(folder):
    with otto.output_pipe() as stream:
        for _, value in values(folder):
            stream.write(value)


def receive(out):
    for number, record in enumerate(otto.input_pipe()):
        keep(out, f"{number:02}", record)


def increment(key, times):
    for _ in range(int(times)):
        otto.incr(key)


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (write, read, send, receive, increment)}
    verbs[sys.argv[1]](*sys.argv[2:])
