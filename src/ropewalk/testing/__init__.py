"""What authors of extensions and our own tests share: fakes and conformance suites."""
