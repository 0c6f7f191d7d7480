"""The store of features: one folder per modality, shards of sealed HDF5. Needs no torch.

    writer.py   ShardWriter: a shard from the first record to the sealed file
    reader.py   FeatureStore: rows of a folder of sealed shards
    verify.py   verify_shard: is a sealed file what was written?
    summary.py  what a folder holds, under construction included
    snapshot.py which sealed shards a reader is pinned to
    exchange/   import from and export to one file a video, and WebDataset
    upkeep/     merge and repair
    stored_records.py   records of a sealed shard, each checked; what the two begin with
    record.py   Record, SPAN: what a writer appends
    fingerprint.py, plan.py   what made a shard, and what it is to hold
    layout.py   the format; journal.py, frames.py, pack.py, shard.py write and read it
    lease.py    one writer at a time on all machines; holder.py, beat.py, construction.py

Import from these modules.
"""
