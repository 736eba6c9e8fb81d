"""What is raised for settings that cannot be used."""


class SettingsError(Exception):
    """The settings cannot be used. The message has one line per mistake: where, which key, and what was
    expected.
    """
