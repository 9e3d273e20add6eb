"""forgetaudit.toml, or [tool.forgetaudit] in pyproject.toml: what a project has settled for its audits."""

from forgetaudit.config.file import CONFIG_NAME, Config, DataSection, find_config, read_config

__all__ = ["CONFIG_NAME", "Config", "DataSection", "find_config", "read_config"]
