"""Previews of data: first rows of tables, beginnings of texts, and pictures. They are made in a process of their own."""
