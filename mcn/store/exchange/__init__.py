"""Features in and out of the store, one file a video.

array_file.py     rows of one .npy or .npz, or the reason why there are none
array_folder.py   which file of a folder is which video's
importing.py      a sealed shard of such files
exported.py       what an export says of itself, so that it can come back as it was
exporting.py      a store as one .npy a video, or as WebDataset's tar files
"""
