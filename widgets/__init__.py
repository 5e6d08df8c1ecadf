"""Jupyter widgets, offline pages of them, and figures. Takes dicts and arrays; imports nothing of losa."""
