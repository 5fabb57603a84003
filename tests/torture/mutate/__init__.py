"""Damage files by bytes, words or structure. Every change follows from a `random.Random`, and can be made again."""
