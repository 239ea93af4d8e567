"""What came out: models as parts by digest, their versions, and the only places that load them."""
