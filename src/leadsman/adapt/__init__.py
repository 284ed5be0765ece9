"""Parameter-efficient methods: one file per method."""
