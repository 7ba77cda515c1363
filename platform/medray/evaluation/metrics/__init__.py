"""How good an answer is, by text, entity, label and embedding; as standard libraries count it."""
