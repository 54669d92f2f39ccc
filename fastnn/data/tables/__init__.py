"""Tables: reading their files, recognising their columns, encoding their rows."""
