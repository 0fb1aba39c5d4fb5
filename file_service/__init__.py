"""Uploaded files in; profiles, thumbnails and other artifacts out."""
