"""The integration checklist as a program: it walks a server over HTTP and fills in the record.

Nothing here imports the server's code, so it judges any server of the same API.
"""
