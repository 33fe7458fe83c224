"""orca-cool: sequence models of the 3-D genome for the cooler and HiGlass ecosystem."""

__version__ = "0.1.0"
