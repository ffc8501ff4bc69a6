"""A run as a page to look at, as a model card, and the check of a merged model.

A report is a folder: ``index.html`` is opened by a browser from the disk, without a server and
without a network. What is large lies beside it and is loaded when it is looked at: the rollouts in
pieces (scripts, since a page from the disk may not fetch files), each map once.
"""
