"""Previews of data, made in a process of their own: first rows of tables, beginnings of texts, and pictures."""
