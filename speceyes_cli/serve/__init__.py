"""The cascade as an OpenAI-compatible endpoint: one question about one picture at a time."""
