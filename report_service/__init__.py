"""Requests for reports in; PDF, XLSX, CSV and JSON out, from a read model of its own."""
