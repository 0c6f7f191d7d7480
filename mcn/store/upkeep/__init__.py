"""What is done to sealed shards afterwards: nothing here changes one, all make new ones.

damaged.py    the description of a shard whose features may be damaged
repair.py     what is sound of a broken shard becomes a journal, or a shard
merged.py     which shards went into which
merge.py      a folder with fewer shards, built aside
swap.py       one folder in the place of another, in one step
"""
