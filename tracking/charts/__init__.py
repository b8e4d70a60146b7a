"""Pictures, pages and tables of what is remembered: the front and the sensitivity map."""
