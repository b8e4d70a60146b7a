"""The sweep and what follows it: search, pick, export, verify. Imports all the other packages; nothing imports it."""
