"""The settings: each stated once, and config.json, which is read when it changes."""

from __future__ import annotations

import json
import os

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput, HostError
from queuectl_lib.host import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple

    from queuectl_lib.values import Fields


class Setting:
    """One setting, by its key in config.json; see SETTINGS for what the rest is."""

    def __init__(
        self,
        key: str,
        default: Any,
        check: Callable[[object, str], Any],
        words: Optional[Callable[[str, str], object]] = None,
        alias: str = "",
        override: Optional[Tuple[str, str]] = None,
    ) -> None:
        self.key = key
        self.default = default
        self.check = check
        self.words = words
        self.alias = alias
        self.override = override


def whole(low: int, high: int) -> Callable[[object, str], int]:
    """The check of a whole number from *low* to *high*."""
    return lambda value, key: values.check_integer(value, key, low, high)


def check_timeout(value: object, key: str) -> Optional[float]:
    return None if value is None else times.check_timeout(value)


def check_shell(value: object, key: str) -> Optional[str]:
    if value is None:
        return None
    from queuectl_lib.jobs import interpreters  # which few homes need

    return str(interpreters.check_setting(value, key))


def check_db_path(value: object, key: str) -> str:
    text = values.check_text(value, key)
    if not text:
        raise BadInput("%s is empty" % key)
    if os.path.normpath(text) in (".", "..", "config.json"):
        raise BadInput("%s: %s is no place for a database" % (key, errors.shown(text)))
    longest = max(len(part.encode("utf-8")) for part in text.replace("\\", "/").split("/"))
    if longest > 200 or len(text.encode("utf-8")) > 1000:
        raise BadInput("%s: %s is too long" % (key, errors.shown(text)))
    return text


def check_durability(value: object, key: str) -> object:
    if value not in ("full", "off"):
        raise BadInput("durability: %s is not full or off" % errors.shown(value))
    return value


def check_by_rule(key: str) -> Callable[[object, str], Any]:
    """The check of a setting that jobs have as a rule, too; its room is not loaded for what is the default."""

    def check(value: object, name: str) -> Any:
        if repr(value) == repr(SETTING_DEFAULTS[key]):
            return value
        from queuectl_lib.jobs import retry_rules  # which few homes need

        return (retry_rules.check_backoff if key == "backoff" else retry_rules.check_codes)(value, name)

    return check


def share_from_text(text: str, key: str) -> float:
    """20% or 0.2. Raises BadInput."""
    from queuectl_lib.jobs import retry_rules  # the same

    return retry_rules.share(text, key)


def notices() -> Any:
    """The room of what a hook is told of, which few homes need."""
    from queuectl_lib.jobs import notices as room

    return room


def check_notice(value: object, key: str) -> Any:
    return value if value == SETTING_DEFAULTS[key] else notices().CHECKS[key](value, key)


def check_launchers(value: object, key: str) -> Any:
    if value == SETTING_DEFAULTS[key]:
        return value
    from queuectl_lib.jobs import launchers  # which few homes need

    return launchers.check(value, key) if key == "launchers" else launchers.check_name(value, key)


def json_of(text: str, key: str) -> object:
    """What a command line says of a setting that is an object. Raises BadInput."""
    from queuectl_lib.jobs import broken_config  # needed only to set one

    return broken_config.of_text(text, key)


def none_or_text(text: str, key: str) -> Optional[str]:
    """The words for "no limit", or the text itself."""
    return None if text.lower() in ("none", "null", "") else text


# key, default, check (of a value of JSON); words: what the text of a command line means, where that is not the text;
# alias: another name; override: metavar and help of the option of `worker start` that stands in its place.
SETTINGS = (
    Setting("max_retries", 3, whole(0, 1000000), values.whole_number, alias="default_max_retries"),
    Setting(
        *("backoff_base", 2, lambda value, key: values.check_number(value, key, 0, 1000000000), values.decimal_number),
        override=("X", "in place of the setting"),
    ),
    Setting("backoff_cap", 3600, times.parse_duration),
    Setting("backoff", "exponential", check_by_rule("backoff")),
    Setting("jitter", 0, lambda value, key: values.check_number(value, key, 0, 1), share_from_text),
    Setting("ok_codes", [0], check_by_rule("ok_codes")),
    Setting("later_codes", [], check_by_rule("later_codes")),
    Setting("dead_codes", [], check_by_rule("dead_codes")),
    Setting("max_snoozes", 100, whole(0, 1000000), values.whole_number),
    Setting("timeout", None, check_timeout, none_or_text, alias="job_timeout"),
    Setting("shell", None, check_shell, none_or_text),
    Setting("db_path", "queuectl.db", check_db_path),
    Setting(
        *("poll_interval", 1, lambda one, key: values.check_number(times.parse_duration(one, key), key, 0.01, 3600)),
        alias="worker_poll_interval",
        override=("S", "in place of the setting, seconds"),
    ),
    Setting("grace", 10, times.parse_duration),
    Setting("max_output", 100 * 1024 * 1024, whole(4096, 10**15), values.whole_number),
    Setting("durability", "full", check_durability),
    Setting("hook", None, check_notice, lambda text, key: notices().hook_of(text, key)),
    Setting("hook_on", ["dead", "stuck"], check_notice, lambda text, key: notices().words_of(text, key)),
    Setting("hook_every", 10, times.parse_duration),
    Setting("hook_max_age", 86400, times.parse_duration),
    Setting("launchers", {}, check_launchers, json_of),
    Setting("launcher", None, check_launchers, none_or_text),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
SETTING_DEFAULTS: Fields = {setting.key: setting.default for setting in SETTINGS}
ALIASES = {setting.alias: setting.key for setting in SETTINGS if setting.alias}


class Settings:
    """What config.json says, complete and checked (seconds where it is a time): a value for each of SETTINGS."""

    max_retries: int
    backoff_base: float
    backoff_cap: float
    backoff: str
    jitter: float
    ok_codes: List[int]
    later_codes: List[int]
    dead_codes: List[int]
    max_snoozes: int
    timeout: Optional[float]
    shell: Optional[str]
    db_path: str
    poll_interval: float
    grace: float
    max_output: int
    durability: str
    hook: Any
    hook_on: List[str]
    hook_every: float
    hook_max_age: float
    launchers: Fields
    launcher: Optional[str]

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def but(self, **values: Any) -> Settings:
        """The same with other *values*."""
        return Settings(**dict(self.__dict__, **values))


DEFAULTS = Settings(**SETTING_DEFAULTS)


def setting_key(name: str) -> str:
    """The key that *name* means: max-retries and default_max_retries are max_retries."""
    key = name.replace("-", "_")
    key = ALIASES.get(key, key)
    if key not in BY_KEY:
        raise errors.unknown_name("setting", name, list(BY_KEY) + list(ALIASES))
    return key


def check_setting(key: str, value: object) -> Any:
    """*value* when the setting *key* can have it; raises BadInput."""
    return BY_KEY[key].check(value, key)


def refuse_contradiction(found: Fields) -> None:
    """Raise BadInput where the settings *found* have one exit code mean two things, or name a launcher there is not."""
    if found.get("later_codes") or found.get("dead_codes"):
        from queuectl_lib.jobs import retry_rules  # which few homes need

        retry_rules.refuse_twice(dict(SETTING_DEFAULTS, **found))
    if found.get("launcher") is not None and found["launcher"] not in found.get("launchers", {}):
        from queuectl_lib.jobs import launchers  # the same

        launchers.refuse_unknown(found["launcher"], found.get("launchers", {}), "launcher")


def setting_from_text(key: str, text: str, name: str = "") -> object:
    """What the words of a command line mean as the value of *key*, which messages call *name*. Raises BadInput."""
    words = BY_KEY[key].words
    return words(text, name or key) if words else text


class ConfigFile:
    """config.json: read when it changes, and checked (commands/config replaces it).

    Calling it gives the Settings. Workers call theirs before each claim.
    """

    def __init__(self, home: str) -> None:
        self.home = home
        self.path = os.path.join(home, "config.json")
        self.seen: Any = None
        self.settings: Optional[Settings] = None
        self.named_database = ""  # in place of the one that it names

    def __call__(self) -> Settings:
        """The settings as they are now. Raises HostError for a broken file."""
        try:
            info = os.stat(self.path)
            seen: Any = (info.st_mtime_ns, info.st_size, info.st_ino)
        except OSError:
            seen = ()
        if self.settings is None or seen != self.seen:
            self.settings = Settings(**dict(SETTING_DEFAULTS, **self.values()))
            self.seen = seen
        return self.settings

    def database_path(self) -> str:
        """Where the settings, as they are now, have the database, or where the environment has it."""
        return self.named_database or os.path.join(self.home, self().db_path)

    def values(self) -> Fields:
        """What the file sets, by key, checked."""
        found: Fields = {}
        for name, value in self.content().items():
            try:
                key = setting_key(name)
                if key in found:
                    raise BadInput("%s is set twice, once under another name" % key)
                found[key] = check_setting(key, value)
            except BadInput as error:
                raise HostError("%s: %s" % (errors.printable(self.path), error), "bad_config") from None
        try:
            refuse_contradiction(found)
        except BadInput as error:
            raise HostError("%s: %s" % (errors.printable(self.path), error), "bad_config") from None
        return found

    def content(self) -> Fields:
        """The file's object as it stands, {} where there is no file."""
        try:
            text = ""
            text = files.read_whole(self.path).decode("utf-8-sig")
            value = json.loads(text, object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant)
        except FileNotFoundError:
            return {}
        except OSError as error:
            text = "cannot read %s: %s"
            raise HostError(text % (errors.printable(self.path), error.strerror), "bad_config") from None
        except (ValueError, RecursionError, BadInput) as error:
            from queuectl_lib.jobs import broken_config  # needed only to refuse

            raise self.broken(broken_config.words(error, text)) from None
        if not isinstance(value, dict):
            raise self.broken("line 1, column 1: an object such as {} is expected")
        return value

    def broken(self, what: str) -> HostError:
        return HostError("%s: %s: correct it, or move it away" % (errors.printable(self.path), what), "bad_config")
