"""Distil teachers into a student: `base`, the stages, and what they share.

`teachers` computes their outputs, `weighing` averages several, `losses` and `features` are the distances.
"""
