"""Jupyter widgets and figures that know dicts and arrays only."""
