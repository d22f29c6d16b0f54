"""The paper's ablations in small, with the reader of `lite`: what is compared, and the tables. Commands: `videoseg reproduce`."""
