"""The Python API behind `from speceyes_cli import ...`: what a notebook calls."""
