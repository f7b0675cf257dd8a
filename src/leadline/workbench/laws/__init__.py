"""Laws: what the office's matrix says, and the office's own corrections. Not legal advice."""
