"""Networks of the Orca family, built by loops over a :class:`~orca_cool.model.spec.ModelSpec`, and
models as files.
"""
