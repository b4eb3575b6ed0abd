"""Tests that run in vLLM's own environment; test_vllm_in_process.py starts them."""
