"""Which tokens a run reads at each step.

:func:`open_feed` gives a recipe its batches by number; nothing else is kept, so a run continues
anywhere. ``stream`` and ``documents`` read windows (:mod:`~leadsman.train.feed.stream`),
``buckets`` reads pieces of one document each (:mod:`~leadsman.train.feed.buckets`).
"""

from leadsman.train.feed.batches import RecipeFeed, open_feed
from leadsman.train.feed.buckets import BucketFeed
from leadsman.train.feed.source import data_id
from leadsman.train.feed.stream import Feed

__all__ = ["BucketFeed", "Feed", "RecipeFeed", "data_id", "open_feed"]
