"""The file service: file.uploaded in; what is in the file, and artifacts made from it, out."""
