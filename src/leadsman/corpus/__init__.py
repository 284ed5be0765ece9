"""Documents in: readers, shards, hashing kernels, deduplication."""

from leadsman.corpus.convert import ConvertReport, convert, open_or_convert
from leadsman.corpus.corpus import Corpus, Extent, Shard, Source, Target
from leadsman.corpus.decontaminate import DecontaminationReport, decontaminate
from leadsman.corpus.dedup import DedupReport, deduplicate
from leadsman.corpus.readers import read_source
from leadsman.corpus.rejects import Reject, Rejects
from leadsman.corpus.removal import RemovalReport
from leadsman.corpus.writer import write_corpus

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
