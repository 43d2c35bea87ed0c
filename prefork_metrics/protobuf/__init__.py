"""The scrape as protocol buffers: the messages of io.prometheus.client, written by hand."""
