"""The driver of a sweep: how it uses Ray (cluster, tasks, Tune, callbacks) and shows progress."""
