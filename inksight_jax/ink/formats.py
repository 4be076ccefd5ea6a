"""The files that a prediction can become."""

from collections.abc import Mapping

# Format to ending of its files. Two formats share .svg and two .xml.
FORMATS: Mapping[str, str] = {
  "inkml": ".inkml",
  "svg": ".svg",
  "animated": ".animated.svg",
  "png": ".png",
  "gif": ".gif",
  "mp4": ".mp4",
  "json": ".json",
  "text": ".txt",
  "xopp": ".xopp",
  "pagexml": ".page.xml",
  "alto": ".alto.xml",
  "pdf": ".pdf",
  "html": ".html",
}
