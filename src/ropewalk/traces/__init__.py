"""What an application did for each request: traces, their spans, what is thought of them, and evaluation datasets."""
