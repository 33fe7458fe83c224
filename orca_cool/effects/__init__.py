"""What an edit changes: reference and alternate aligned, scores, tables, lifted maps, pictures."""

#: What a bin of the reference shows that the edited genome has several times: the mean of the
#: copies, or the first of them.
COPIES = ("mean", "first")
