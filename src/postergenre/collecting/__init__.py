"""Poster sets from elsewhere: an API, an archive, a CSV of addresses, folders; merged into what training takes."""
