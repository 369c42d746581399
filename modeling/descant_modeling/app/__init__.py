"""The page (`descant app`) and the HTTP API (`descant serve`) on one service (extra `app`).

Both: `guard` refuses requests, `reading` reads files in a process of its own, `jobs` runs one request at a time,
`service` holds the models and the queue, `media` makes scores, sound and files, and `words` rewords messages.

The page: `editor` converts melodies, `sessions` holds takes, `routes` serves them, `controls` lays out the controls,
`page` runs them, `status` words the line under them, `language` translates. Only `controls` and `page` import Gradio.

The API: `schemas` holds the bodies of requests and answers, `tasks` does what they ask for, `submissions` keeps their
jobs, `http_api` has the routes, and `server` is the API without the page.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: nothing leaves the machine
