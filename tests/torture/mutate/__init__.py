"""Damage files: by bytes, by words, by structure. Every change follows from a `random.Random`, and can be made again."""
