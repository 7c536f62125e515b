#!/usr/bin/env python3
"""Draws how data goes from a source to the targets, and who holds which key: etc/picture/overview.svg.

Usage: draw.py            writes the picture beside this file
       draw.py --check    status 1 if the picture in the tree is another than this script draws
"""
import os
import sys
from html import escape

WIDTH, HEIGHT = 960, 470
INK, SOFT, LINE = "#1c2733", "#52606d", "#9aa5b1"
PAPER, SERVER, SEALED, PERSON = "#ffffff", "#eef3f8", "#e3f1e6", "#fdf1dc"

parts = []


def box(x, y, width, height, fill, dashed=False):
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{LINE}"{dash}/>')


def text(x, y, words, size=14, colour=INK, bold=False, middle=False):
    weight = ' font-weight="600"' if bold else ""
    anchor = ' text-anchor="middle"' if middle else ""
    parts.append(f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{weight}{anchor}>{escape(words)}</text>')


def card(x, y, width, height, fill, title, lines):
    box(x, y, width, height, fill)
    text(x + width / 2, y + 24, title, bold=True, middle=True)
    for i, line in enumerate(lines):
        text(x + width / 2, y + 44 + 17 * i, line, 12, SOFT, middle=True)


def arrow(x1, y1, x2, y2):
    parts.append(f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{INK}" stroke-width="1.5" fill="none" marker-end="url(#head)"/>')


def draw():
    box(0.5, 0.5, WIDTH - 1, HEIGHT - 1, PAPER)
    box(20, 20, 620, 250, SERVER, dashed=True)
    text(36, 44, "the server, started by cron", 13, SOFT, bold=True)

    card(36, 64, 130, 112, PAPER, "sources", ["folders", "command output", "tar streams"])
    card(196, 64, 120, 112, PAPER, "chunks", ["cut by content,", "known ones are", "not stored again"])
    card(346, 64, 130, 112, SEALED, "frames", ["zstd, then", "AES-256-GCM, to", "the recovery key"])
    card(506, 64, 118, 112, SEALED, "packs", ["16 MiB each,", "named by their", "SHA-256"])
    for x in (166, 316, 476):
        arrow(x, 120, x + 27, 120)

    targets = (("a disk", "a local folder"), ("S3, one provider", "object lock"), ("S3, another one", "another country"))
    for i, (title, line) in enumerate(targets):
        y = 36 + 78 * i
        card(740, y, 200, 62, SEALED, title, [line])
        arrow(624, 120, 737, y + 31)
    text(672, 80, "TLS", 12, SOFT, middle=True)

    card(36, 196, 588, 60, PAPER, "the host's key", ["writes, lists, finds, compares, prunes and verifies; opens no contents"])

    card(20, 300, 300, 76, PERSON, "a person's key", ["behind a passphrase, apart from the server;", "restores on any machine, from any target"])
    card(340, 300, 300, 76, PERSON, "the admin's key", ["behind a passphrase; signs the keyring:", "who may write, prune and read"])
    card(660, 300, 280, 76, SEALED, "the store", ["sees sealed bytes, sizes and times;", "no names, no contents, no keys"])

    text(WIDTH / 2, 412, "One read of the source serves all targets; each is committed on its own, catches up when it was away,", 13, SOFT, middle=True)
    text(WIDTH / 2, 431, "and is healed from another when it is damaged. Dead data is removed by a host that cannot open it.", 13, SOFT, middle=True)

    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n'
            "<title>From the sources through chunks, frames and packs to several targets, and who holds which key</title>\n"
            f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "overview.svg")
    picture = draw()
    if sys.argv[1:] == ["--check"]:
        if open(path, encoding="utf-8").read() != picture:
            sys.exit("etc/picture/overview.svg is not what etc/picture/draw.py draws: run the script")
        print("the picture is what the script draws")
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(picture)


main()
