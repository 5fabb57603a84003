"""Render a report as one HTML page that is whole: no network, and no script to read it.

jinja2 fills the page and escapes every text; plots are inline SVG, whose elements `svg.py` escapes by markupsafe, which
jinja2 brings. A plotting library in JavaScript would be larger than the page may be, and matplotlib larger than all of
this package; both would draw text that no style of the page reaches, in dark or in print.
"""
