"""Corpora on disk: written all or nothing, in restartable jobs."""
