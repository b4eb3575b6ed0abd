"""What every page that a browser shows has in common: style, pictures with boxes, headers."""
