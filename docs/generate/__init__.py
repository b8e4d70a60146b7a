"""Reference pages from the code, made while mkdocs builds the site. May import everything of ours."""
