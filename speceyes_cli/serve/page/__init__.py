"""The page for trying an endpoint in a browser."""
