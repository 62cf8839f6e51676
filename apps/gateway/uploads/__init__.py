"""Forms with files: read as they come, kept on disk and not in memory, and framed anew for the provider.

The reader is ours rather than a library's for two reasons. What goes upstream is what we have understood, written in our own words:
nobody can show the gateway one `model` and the provider another by a form that two parsers read differently. For that the reader is
strict where libraries are lenient. And it hands pieces on as they come, with a bound on everything that is kept.
"""
