"""The line read backwards: where a prediction came from, whether it can be made again, whether all of it holds."""
