"""What people and programs see: text, Markdown, JSON, and the console, which is the only writer.

It is given values and decides nothing.
"""
