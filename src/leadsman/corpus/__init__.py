"""Documents in: readers, shards, hashing kernels, deduplication."""

from leadsman.corpus.convert import ConvertReport, convert, open_or_convert
from leadsman.corpus.corpus import Corpus, Extent, Shard
from leadsman.corpus.dedup.contamination import DecontaminationReport, decontaminate
from leadsman.corpus.dedup.documents import DedupReport, deduplicate
from leadsman.corpus.dedup.removal import RemovalReport
from leadsman.corpus.readers.rejects import Reject, Rejects
from leadsman.corpus.readers.sources import read_source
from leadsman.corpus.shards.writer import write_corpus
from leadsman.corpus.source_and_target import Source, Target

__all__ = [
    "ConvertReport",
    "Corpus",
    "DecontaminationReport",
    "DedupReport",
    "Extent",
    "Reject",
    "Rejects",
    "RemovalReport",
    "Shard",
    "Source",
    "Target",
    "convert",
    "decontaminate",
    "deduplicate",
    "open_or_convert",
    "read_source",
    "write_corpus",
]
