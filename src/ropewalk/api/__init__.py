"""The door for programs: JSON over HTTP, described by OpenAPI, errors with a code and a fix."""
