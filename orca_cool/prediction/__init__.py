"""From encodings to maps: windows, levels, the engine that decodes them, the mosaic, long jobs that
survive kills.
"""
