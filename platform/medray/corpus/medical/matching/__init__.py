"""Finding keywords in text: one definition, one protocol, engines that differ in speed alone."""
