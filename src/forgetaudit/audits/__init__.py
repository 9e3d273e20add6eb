"""The audits, each a story on one screen: what is opened, measured, judged and reported."""
