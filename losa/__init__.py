"""A thin package for temporal action localization with long-short-range adapters."""
