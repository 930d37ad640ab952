"""Data shipped with the program: field tables and ATT&CK tables, as facts."""
