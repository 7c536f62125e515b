#!/bin/sh
# Runs the program with the person's key in a file, PERSON_KEY, where it would ask for a passphrase: that takes half a
# second of hashing each time, by design, and most scenarios are not about it.
command=
follows=
for argument; do
    case $follows$argument in
    --person-key* | --passphrase-file*) exec "$HOLDFAST_PROGRAM" "$@" ;;
    --target | --target=* | --content) command=needed ;;
    -c) follows=- && continue ;;
    -*) ;;
    *) command=${command:-$argument} ;;
    esac
    follows=
done
case "$command $*" in
needed\ * | init\ * | restore\ * | cat\ * | export\ * | host\ *host\ add*) exec "$HOLDFAST_PROGRAM" "$@" --person-key "$PERSON_KEY" ;;
esac
exec "$HOLDFAST_PROGRAM" "$@"
