"""Values, events, progress, streams and shared memory between the tasks of a run.

>>> import otto
>>> with otto.serve(task="build"):
...     otto.set("version", "1.2.3")
...     otto.get("build.version")
'1.2.3'
"""

from otto._otto import (
    Event,
    InputPipe,
    OttoClient,
    OutputPipe,
    Progress,
    Server,
    Subscription,
    TaskDataRegion,
    delete,
    get,
    get_many,
    get_with_revision,
    incr,
    input_pipe,
    list_keys,
    output_pipe,
    progress,
    publish,
    serve,
    set,
    stats,
    subscribe,
    wait,
)
from otto.errors import (
    ConditionFailed,
    Corrupt,
    NoRun,
    NotFound,
    OttoError,
    ProducerEnded,
    StreamClosed,
    SystemRefused,
    TimedOut,
    Unreachable,
    UsageError,
)

__all__ = [
    "ConditionFailed",
    "Corrupt",
    "Event",
    "InputPipe",
    "NoRun",
    "NotFound",
    "OttoClient",
    "OttoError",
    "OutputPipe",
    "ProducerEnded",
    "Progress",
    "Server",
    "StreamClosed",
    "Subscription",
    "SystemRefused",
    "TaskDataRegion",
    "TimedOut",
    "Unreachable",
    "UsageError",
    "delete",
    "get",
    "get_many",
    "get_with_revision",
    "incr",
    "input_pipe",
    "list_keys",
    "output_pipe",
    "progress",
    "publish",
    "serve",
    "set",
    "stats",
    "subscribe",
    "wait",
]
