"""After the search: the front is scored, a trial picked, exported and verified."""
