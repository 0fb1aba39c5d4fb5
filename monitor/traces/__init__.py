"""Traces: spans in over OTLP, kept for a while; Jaeger's query API and the pages of traces out."""
