"""Asking a model why: objectives (numbers taken from a map), the bases that they depend on, and
virtual screens.
"""
