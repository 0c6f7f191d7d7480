"""k-means over embeddings, and the queue of past embeddings that it clusters.

lloyd.py    kmeans: the iterations, which are the same for every engine
magnitude.py  numbers of any size, brought to one at which squares are safe
subspace.py, seeding.py  where it begins if it is not told: few dimensions, rows far apart
engines.py  what finds the nearest centroids, by name; torch_engine.py, faiss_engine.py
queue.py    FeatureQueue: the newest rows, as a ring buffer
health.py   what tells a good clustering from one that has collapsed
"""

from mcn.clustering.lloyd import kmeans
from mcn.clustering.queue import FeatureQueue

__all__ = ["FeatureQueue", "kmeans"]
