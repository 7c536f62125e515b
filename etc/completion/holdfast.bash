# Completion for bash. Asks the program itself, so that it knows what the installed version knows.
_holdfast()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= word words
    local table
    table=$("${COMP_WORDS[0]}" help --table 2>/dev/null) || return
    case $previous in
    -c | --config | --passphrase-file | --person-key | --to | --out | --target)
        COMPREPLY=($(compgen -f -- "$current"))
        return
        ;;
    --*)
        words=$(awk -F'\t' -v o="${previous#--}" '$1 == "option" && $2 == o { gsub(",", " ", $5); print $5 }' <<<"$table")
        if [ -n "$words" ]; then
            COMPREPLY=($(compgen -W "$words" -- "$current"))
            return
        fi
        ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if awk -F'\t' -v w="$word" '$1 == "command" { split($2, a, " "); if (a[1] == w) found = 1 } END { exit !found }' <<<"$table"; then
            command=$word
            break
        fi
    done
    if [ "$command" = host ] && [ "$previous" = host ]; then
        words="add list"
    elif [ "$command" = schedule ] && [ "$previous" = schedule ] && [[ $current != -* ]]; then
        words="install uninstall"
    elif [ "$command" = schedule ] && [[ $previous == *install ]] && [[ $current != -* ]]; then
        words="cron systemd"
    elif [[ $current == -* ]]; then
        words=$(awk -F'\t' -v c="$command" '
            $1 == "option" {
                n = split($6, a, ","); ok = n == 0
                for (i = 1; i <= n; i++) { split(a[i], b, " "); if (b[1] == c) ok = 1 }
                if (ok) print "--" $2
            }' <<<"$table")
    elif [ -z "$command" ] || [ "$command" = help ]; then
        words=$(awk -F'\t' '$1 == "command" { split($2, a, " "); print a[1] }' <<<"$table")
    else
        COMPREPLY=($(compgen -f -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _holdfast holdfast
