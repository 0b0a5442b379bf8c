"""What a driver is asked to do: words of the form name=value; peers/driver.ts says what they mean."""

import sys


class Request:
    def __init__(self, words):
        self.words = [tuple(word.split("=", 1)) for word in words]

    def one(self, name):
        return next(iter(self.all(name)), None)

    def all(self, name):
        return [value for each, value in self.words if each == name]

    def login(self):
        """The steps, each with what belongs to it: ("key", {"key": ..., "certificate": ..., "signature": ...})."""
        steps = []
        for name, value in self.words:
            if name in ("password", "answer", "key"):
                steps.append((name, {name: value}))
            elif name in ("certificate", "signature"):
                steps[-1][1][name] = value
        return steps

    def forwards(self, kind):
        """Pairs of places: ("host", port) or a path."""
        return [[place(word) for word in value.split(" ")] for value in self.all(kind)]


def place(word):
    if word.startswith("/"):
        return word
    host, port = word.rsplit(":", 1)
    return host, int(port)


def print_algorithms(**lists):
    for name, names in lists.items():
        print(f"{name}={','.join(names)}")


def fail(error):
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(255)
