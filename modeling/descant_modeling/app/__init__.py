"""The page (`descant app`, extra `app`): draw or upload a melody, have it harmonized, see it, hear it, ask for more.

`guard` bounds requests, `reading` reads files in a process of its own, `editor` converts melodies, `sessions` holds
takes, `jobs` runs one request at a time, `service` does what the page asks for, `routes` serves scores, sound and
files, `page` lays out the controls, and `status` words the line under them. Only `page` imports Gradio.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: nothing leaves the machine
