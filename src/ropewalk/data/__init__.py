"""What the model saw: frames by content, with contracts and profiles."""
