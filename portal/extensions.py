"""Flask extensions, unbound until portal.app.create_app binds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import MetaData, inspect
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of every model; constraints have predictable names so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def __repr__(self) -> str:
        """The row's id alone: columns may hold what no log should."""
        return f"<{type(self).__name__} {inspect(self).identity}>"


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:

    class Model(Base):
        """What models inherit from, as a type checker sees it."""

        __abstract__ = True
else:
    Model = db.Model

migrate = Migrate()
babel = Babel()
csrf = CSRFProtect()
login = LoginManager()
htmx = Htmx()
limiter = Limiter(get_remote_address, headers_enabled=False)
