"""The bundled adapters, one file per library.

A file is named so that it does not shadow the library it binds: torch_functional.py, not torch.py.
"""
