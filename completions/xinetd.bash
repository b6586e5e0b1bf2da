# bash completion of xinetd(8)
# By: BLESS=1 cargo test --test manuals
_xinetd() {
    local word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case ${COMP_WORDS[COMP_CWORD-1]} in
    -f|-pidfile|-filelog) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    -syslog) mapfile -t COMPREPLY < <(compgen -W 'daemon auth authpriv user mail lpr news uucp ftp local0 local1 local2 local3 local4 local5 local6 local7' -- "$word") ;;
    -log-format) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$word") ;;
    -control|-limit|-logprocs|-cc|-drain|-shutdownprocs) ;;
    *) mapfile -t COMPREPLY < <(compgen -W '-f -d -dontfork -stayalive -pidfile -filelog -syslog -log-format -control -limit -logprocs -cc -drain -inetd_compat -t -version --help -reuse -inetd_ipv6 -shutdownprocs' -- "$word") ;;
    esac
}
complete -o filenames -F _xinetd xinetd
