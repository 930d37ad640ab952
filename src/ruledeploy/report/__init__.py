"""Values' JSON form → text a person reads. Pure functions; the only importer of rich.

A renderer never sees the value itself, so `--json` can never say less than the terminal.
"""
