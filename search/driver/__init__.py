"""The driver of a sweep: Ray, its cluster, tasks, callbacks and progress."""
