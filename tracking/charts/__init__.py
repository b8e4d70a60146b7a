"""Pictures, pages and tables of a front and of a sensitivity map."""
