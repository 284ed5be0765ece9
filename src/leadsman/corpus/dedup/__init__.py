"""What goes because something else has it: copies, paragraphs, meaning, evaluation text."""
