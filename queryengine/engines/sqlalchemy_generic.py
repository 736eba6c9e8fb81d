"""stub"""

from queryengine.engines.sqlalchemy_dialect import Dialect


class GenericDialect(Dialect):
    def __init__(self, url):
        raise ValueError(f"option 'url': dialect {url.get_backend_name()!r} is not supported; known: sqlite")
