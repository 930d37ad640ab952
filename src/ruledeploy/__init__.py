"""Sigma rules and allowlists, compiled and deployed to Elastic Security."""

__version__ = "0.1.0"
