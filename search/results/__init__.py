"""The steps after a search: the final evaluation, and picking, exporting, verifying and using a trial."""
