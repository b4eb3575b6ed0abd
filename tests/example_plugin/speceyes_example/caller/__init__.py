"""An agent whose model writes its tool calls as Qwen does."""
