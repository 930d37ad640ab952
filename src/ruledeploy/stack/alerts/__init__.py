"""Rules that run: when, over which events, and the alerts they write."""
