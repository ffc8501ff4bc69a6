"""Reports of runs as web pages, model cards, and the check of a merged model.

A report is a folder. A browser opens its ``index.html`` from the disk, without server or network.
Large data are separate files, loaded on demand: rollouts in pieces (as scripts, because a page from
the disk may not fetch files), each map once.
"""
