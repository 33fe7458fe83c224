"""Encodings of sequence: each stretch is encoded once, in memory and on disk, and used again across
edits.
"""
