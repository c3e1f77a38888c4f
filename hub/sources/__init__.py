"""Where photos come from, whatever holds them: a folder, a list of files, tar shards, a Hugging Face dataset."""
