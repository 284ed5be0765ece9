"""The register: forecasts written down before their runs and scored after, in a chain of hashes."""
