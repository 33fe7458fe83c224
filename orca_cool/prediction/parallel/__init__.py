"""Windows computed by several processes: the ranks of torchrun, the workers of a dask cluster."""
