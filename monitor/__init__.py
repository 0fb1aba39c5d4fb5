"""The monitor: spans in over OTLP; Jaeger's query API and pages of traces out."""
