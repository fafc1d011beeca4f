"""The executor for clusters of Dask (distributed)."""
