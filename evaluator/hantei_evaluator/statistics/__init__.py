"""Estimates and how sure they are: pure numpy."""
