"""Threads that fetch pictures, and others that decode them: a slow server holds up no decoding."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import PictureError
from speceyes_cli.serve.pictures.decoding import (
    FETCH_SECONDS,
    check_pixels,
    fetch_picture,
    is_fetched,
    read_picture,
)
from speceyes_cli.serve.pictures.public import is_public
from speceyes_cli.serve.service import ServeLimits

FETCHERS = 16
"""Pictures that are fetched at once; those beyond wait, within their own time."""
DECODERS = 2


class PictureReader:
    """Reads pictures off the event loop."""

    def __init__(self, limits: ServeLimits) -> None:
        self._limits = limits
        self._fetchers = ThreadPoolExecutor(FETCHERS, "speceyes-fetch")
        self._decoders = ThreadPoolExecutor(DECODERS, "speceyes-picture")

    async def read(self, url: str) -> bytes:
        """The encoded picture of a data URL or an http(s) address; raises `PictureError`."""
        loop = asyncio.get_running_loop()
        if is_fetched(url):
            try:
                async with asyncio.timeout(FETCH_SECONDS + 1):  # with the wait for a free thread
                    data = await loop.run_in_executor(
                        self._fetchers, fetch_picture, url, self._limits, is_public
                    )
            except TimeoutError:
                raise PictureError(
                    f"the picture's address took over {FETCH_SECONDS:g} seconds"
                ) from None
        else:
            data = await loop.run_in_executor(self._decoders, read_picture, url, self._limits)
        await loop.run_in_executor(self._decoders, check_pixels, data, self._limits.picture_pixels)
        return data

    async def open(self, picture: Picture) -> None:
        """Decode it, for whoever keeps what it opened; raises `PictureError`."""
        await asyncio.get_running_loop().run_in_executor(self._decoders, picture.open)
