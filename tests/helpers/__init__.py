"""What several tests share: scripted models, servers, and tiny networks of the real classes."""
