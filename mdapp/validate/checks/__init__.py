"""One module a check; its docstring says what is done and what could be seen."""
