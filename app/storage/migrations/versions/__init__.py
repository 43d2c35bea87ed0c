"""One file a revision, named NNNN_what_it_does.py after its revision id NNNN."""
