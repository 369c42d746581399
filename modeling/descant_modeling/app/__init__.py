"""The page (`descant app`, extra `app`): draw or upload a melody, have it harmonized, see it, hear it, ask for more.

`drawings` and `versions` say what goes to the browser and comes back, `jobs` runs one request at a time and stops it,
`studio` is the service behind the page, `routes` serves scores, sound and files, `page` lays the controls out.
Everything but `page` and `command` is plain Python that knows no Gradio.
"""
