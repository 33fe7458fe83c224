"""Where sequence comes from (FASTA, 2bit, renamed and edited genomes) and where things lie in it
(regions, intervals, genes, loops); and the one reader of text tables.
"""
