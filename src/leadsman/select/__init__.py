"""Which documents: one file per selector."""
