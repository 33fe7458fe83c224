"""Where sequence comes from, and genomes that are edited: sources, regions, gaps, text tables, genes,
intervals; segments, changes, the edited genome and its coordinates both ways.
"""
