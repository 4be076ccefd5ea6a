"""Registration of SeqIO tasks and mixtures."""
