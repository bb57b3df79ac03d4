"""Values, events, progress, streams and shared memory between the tasks of a run."""
