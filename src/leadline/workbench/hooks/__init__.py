"""Programs outside: what they are told (webhooks, out of the journal), and which of their requests were done."""
