"""Reports and their items, however they came in; their states; the conversation with the reporter; the public form."""
