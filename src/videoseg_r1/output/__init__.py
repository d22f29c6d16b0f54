"""The result of a run (`result`), writing it (`save`), drawing it (`render`, `card`), and reading it back (`reload`)."""
