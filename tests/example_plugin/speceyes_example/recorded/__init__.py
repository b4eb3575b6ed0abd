"""An engine that gives back what a server once answered."""
