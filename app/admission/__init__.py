"""Admission control: cost estimates, queues, and what runs next."""
