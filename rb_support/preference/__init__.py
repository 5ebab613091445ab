"""Routers that learn from preferences (RouteLLM): tiers, training data, win prediction models."""
