def _run():
    import glob
    import json
    import os
    import sys

    del sys.argv[0]
    path = sys.argv[0]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)
    scope = sys.modules["__main__"].__dict__
    scope.update(json=json, os=os, sys=sys, glob=glob, __file__=path)
    del scope["_run"]
    show = sys.excepthook

    def from_the_script_on(kind, error, trace):
        for _ in range(2):
            trace = trace and trace.tb_next
        error.__traceback__ = trace
        show(kind, error, trace)

    sys.excepthook = from_the_script_on
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), scope)


_run()
