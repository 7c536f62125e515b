"""replace_all_the_time.py FOLDER: replaces what is in FOLDER by renaming, until it is killed, so that each entry exists at every
moment. Prints a line when the first round is done."""
import ctypes
import itertools
import os
import sys

RENAME_EXCHANGE = 2
libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def write(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


os.chdir(sys.argv[1])
for folder in ("blue", "green"):
    os.mkdir(folder)
    write(folder + "/file", folder)
for number in itertools.count():
    for i in range(20):
        # Small, large, and with a second name, which is made anew, too.
        write("state%d" % i, "%d\n" % number * (1 if i % 2 else 200000))
    os.link("state1", "twin.new")
    os.rename("twin.new", "twin")
    os.symlink("release%d" % number, "current.new")
    os.rename("current.new", "current")
    os.mkfifo("pipe.new")
    os.rename("pipe.new", "pipe")
    exchange("blue", "green")
    # One name, now a file, now a folder.
    if number == 0:
        os.mkdir("either")
        write("other", "text")
    exchange("either", "other")
    if number == 0:
        print("begun", flush=True)
