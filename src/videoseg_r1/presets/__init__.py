"""The presets: which models stand behind the stages (`table`), what can carry masks (`propagators`), and what is said of a model
(`model_info`).
"""
