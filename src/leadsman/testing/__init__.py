"""Conformance suites and fakes that third parties import."""
