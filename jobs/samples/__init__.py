"""Sample data of medray's own: raw documents, exam questions, scanned pages in six languages."""
