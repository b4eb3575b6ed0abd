"""Result folders of the paper's own code, read as they are (MAC-AutoML/SpecEyes, 2026)."""
