"""Findings and facts as text."""
