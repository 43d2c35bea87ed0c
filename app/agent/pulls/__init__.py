"""Pulls the images that starts wait for."""
