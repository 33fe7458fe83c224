"""What an edit changes: reference and alternate aligned, scores, tables, lifted maps, pictures."""
