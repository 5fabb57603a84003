"""Fuse models, by their weights or by their outputs.

Pure functions on weights (`mixing`, `rebasin`) and on outputs (`simplex`, `stacking`); `trials` checks on the
validation split what may be mixed.
"""
