"""The mixers, one file each."""
