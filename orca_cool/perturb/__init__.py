"""Asking a model why: virtual screens, and attribution at base resolution."""
