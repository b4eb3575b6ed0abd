"""Real servers: `pytest -m real_servers`."""

collect_ignore = ["inside_vllm"]  # runs in vLLM's own environment
