"""The bundled adapters, one file or package per library.

Each is named so that it does not shadow the library it binds: torch_functional.py, not torch.py.
"""
