"""Result folders of the paper's own code, read as they are (facts on data)."""
