"""Asking a map why: objectives (numbers taken from it), and the bases that they depend on."""
