"""
HTML pages and Markdown texts: one Jinja environment, and the layout and style that all pages share.

Belongs here: how a template is rendered, and what every page looks like. Does not belong here: what a page
states; its template lies beside the code that fills it. The steps and the serving app import it; it imports nothing of
the platform.
"""
