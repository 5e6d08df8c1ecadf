"""`python -m losa.cli`, for example under `accelerate launch`."""

from losa.cli.main import main

main()
