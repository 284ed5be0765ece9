"""Documents in, from what people have; what cannot be used goes to quarantine."""
