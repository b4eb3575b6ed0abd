"""A local, read-only page that shows runs."""
