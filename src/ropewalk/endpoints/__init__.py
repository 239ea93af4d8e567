"""Where releases answer: gateway, warm workers, capture."""
