"""Tilesets: predicted maps and tracks, and log observed/expected of a measured map."""
