"""What a request carries through the house: its number, its trace, and the spans that are told of it."""
