"""The families that the library declares by itself, one module for each thing that is measured."""
