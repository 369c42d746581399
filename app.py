"""The page, where a Hugging Face Space looks for it.

python app.py                                    on this machine only, as `descant app` does
GRADIO_SERVER_NAME=0.0.0.0 python app.py         for other machines too, as a Space runs it
"""

import os
import socket

from descant_modeling.app.command import DEFAULT_PORT, LOOPBACK, serve


def main() -> None:
    """Serve the page."""
    host = os.environ.get("GRADIO_SERVER_NAME", LOOPBACK)
    port = int(os.environ.get("GRADIO_SERVER_PORT", str(DEFAULT_PORT)))
    with socket.create_server((host, port)) as listening:
        serve(listening)


if __name__ == "__main__":
    main()
