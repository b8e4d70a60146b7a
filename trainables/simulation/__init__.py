"""Trials that train nothing: closed forms and recorded tables answer in place of a network."""
