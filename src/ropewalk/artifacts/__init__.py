"""What files lie where: a path, and the digest of the bytes that stand for it."""
