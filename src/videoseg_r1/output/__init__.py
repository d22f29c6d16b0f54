"""What a run hands back (`result`), the ways to write it (`save`), to draw it (`render`, `card`), and to read it back (`reload`)."""
