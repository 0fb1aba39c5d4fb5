"""The report service: events and report.requested in; PDF, XLSX, CSV, JSON and mail out."""
