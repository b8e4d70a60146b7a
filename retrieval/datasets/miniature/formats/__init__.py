"""The miniature benchmark re-written as the published data sets lie on disk: one file a family of formats."""
