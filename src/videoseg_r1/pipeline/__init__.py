"""The paper's flow from a video and a sentence to masks in every frame (`segmenter`), what users give instead of a sentence
(`seed_input`), and what further answers correct (`corrections`).
"""
