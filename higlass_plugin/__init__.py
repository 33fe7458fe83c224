"""Predicted contact maps in HiGlass: tiles computed as somebody looks, of any locus and any edited sequence."""
