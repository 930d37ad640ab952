"""Proof: checks, test cases and reviews of a release against events."""
