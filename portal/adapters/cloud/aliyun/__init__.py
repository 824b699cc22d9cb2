"""Alibaba Cloud: one shared client, a file a product."""
