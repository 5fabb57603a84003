"""Several models into one, as pure functions: of weights (`mixing`, `rebasin`) and of answers (`simplex`, `stacking`).

`trials` tells by the validation split what may be mixed.
"""
