"""The door for people: server-rendered pages, charts as SVG, one small script that keeps them live."""
