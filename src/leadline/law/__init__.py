"""Law as cited data: jurisdictions, question schemes, label schemes, mappings between them. Not legal advice."""
