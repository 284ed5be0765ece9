"""Documents in: readers, shards, hashing kernels, deduplication."""

from leadsman.corpus.convert import ConvertReport, convert
from leadsman.corpus.corpus import Corpus, Extent, Shard, Source, Target
from leadsman.corpus.decontaminate import DecontaminationReport, decontaminate
from leadsman.corpus.dedup import DedupReport, deduplicate
from leadsman.corpus.readers import read_source
from leadsman.corpus.rejects import Reject, Rejects
from leadsman.corpus.writer import write_corpus

__all__ = [
    "ConvertReport",
    "Corpus",
    "DecontaminationReport",
    "DedupReport",
    "Extent",
    "Reject",
    "Rejects",
    "Shard",
    "Source",
    "Target",
    "convert",
    "decontaminate",
    "deduplicate",
    "read_source",
    "write_corpus",
]
