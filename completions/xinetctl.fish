# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_xinetctl_global_optspecs
    string join \n h/help V/version
end

function __fish_xinetctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_xinetctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_xinetctl_using_subcommand
    set -l cmd (__fish_xinetctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c xinetctl -n "__fish_xinetctl_needs_command" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -s V -l version -d 'Print version'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "check" -d 'Say what is wrong with configuration files, and what would start'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "dump" -d 'Print the configuration as it was understood, as JSON (docs/dump.md)'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "status" -d 'Say what the daemon is doing: services, sessions, who was refused, what is left out'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "sessions" -d 'Say who is being served, by which process, since when, and what it costs'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "kill" -d 'End sessions: by their numbers, or all of a service or of a client'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "pause" -d 'Let nobody in at services: clients wait until `resume`'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "drain" -d 'Close services, and wait until nobody is served any more'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "resume" -d 'Let clients in again, after `pause` or `drain`'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "deny" -d 'Lock an address out of every service'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "undeny" -d 'Let an address in again that was locked out, by `deny` or at a SENSOR'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "denied" -d 'Say who is locked out, and for how long'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "reload" -d 'Have the daemon read its files again, and say what came of it'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "connections" -d 'Show the connections of the services, as netstat does'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "convert" -d 'Make entries of xinetd.conf out of an inetd.conf, as itox does'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "enable" -d 'Switch services on, in their files'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "disable" -d 'Switch services off, in their files'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "demo" -d 'Run the daemon with mail services and others on 127.0.0.1, to see it at work'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "explain" -d 'Say what a service is, value by value, and where each value comes from'
complete -c xinetctl -n "__fish_xinetctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l inetd-compat -d 'Read FILE too, /etc/inetd.conf unless named, as `xinetd -inetd_compat` does' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l format -d 'For people, for editors (a line each), or for programs (docs/check.md)' -r -f -a "human\t''
short\t''
json\t''"
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l color -d 'Colour for people; `auto`: on a terminal, unless NO_COLOR is set' -r -f -a "auto\t''
always\t''
never\t''"
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l strict -d 'Count warnings as mistakes'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l legacy -d 'Also say what xinetd 2.3.15 would do otherwise'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -l portable -d 'Also say what xinetd 2.3.15 would not understand, as a mistake'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand dump" -l inetd-compat -d 'Read FILE too, /etc/inetd.conf unless named, as `xinetd -inetd_compat` does' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand dump" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand status" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand status" -s w -l watch -d 'Go on, with a new picture every so many seconds; q or Ctrl-C ends it' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand status" -l json -d 'For programs (docs/control.md)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand sessions" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand sessions" -l json -d 'For programs (docs/control.md)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand sessions" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand kill" -l service -d 'All sessions of this service' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand kill" -l peer -d 'All sessions of this client: an address, or unix:uid=N' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand kill" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand kill" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand pause" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand pause" -l all -d 'All services'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand pause" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand drain" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand drain" -l timeout -d 'Wait no longer than this' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand drain" -l all -d 'All services'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand drain" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand resume" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand resume" -l all -d 'All services'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand resume" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand deny" -l for -d 'For so long, such as 30s, 10m, 2h or 1d; without it for ever' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand deny" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand deny" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand undeny" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand undeny" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand denied" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand denied" -l json -d 'For programs (docs/control.md)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand denied" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand reload" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -l socket -d 'The control socket of the daemon to ask (its option -control)' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s a -l all -d 'All sockets of the host, not only those of the daemon'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s l -l listening -d 'Only sockets that clients can come to'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s t -l tcp -d 'TCP'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s u -l udp -d 'UDP'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s x -l unix -d 'UNIX domain sockets'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s 4 -l ipv4 -d 'IPv4 only'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s 6 -l ipv6 -d 'IPv6 only'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s n -l numeric -d 'Numbers instead of the names of hosts, ports and users'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s W -l wide -d 'Cut nothing to the width of the terminal'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -l json -d 'For programs (docs/connections.md)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s p -l programs -d 'Accepted as netstat\'s: programs are always shown'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand connections" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand convert" -l daemon-dir -d 'Where the programs are that lines start through tcpd, without a path' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand convert" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand enable" -s f -l file -d 'The main file; it and what it includes is searched' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand enable" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand disable" -s f -l file -d 'The main file; it and what it includes is searched' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand disable" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand demo" -l port-base -d 'Where the ports begin: pop3 is N+110, imap4 N+143, imap4s N+993, pop3s N+995' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand demo" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -s f -l file -d 'The main file' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -l inetd-compat -d 'Read FILE too, /etc/inetd.conf unless named, as `xinetd -inetd_compat` does' -r -F
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -l from -d 'Say whether a client from this address would be let in, and what decides' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -l at -d 'The time at which it comes, instead of now' -r
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -l attribute -d 'Say all about this attribute instead; without a name, list all attributes' -r -f -a "socket_type\t''
protocol\t''
wait\t''
user\t''
group\t''
server\t''
server_args\t''
instances\t''
log_on_success\t''
log_on_failure\t''
log_type\t''
only_from\t''
no_access\t''
access_times\t''
type\t''
rpc_version\t''
rpc_number\t''
id\t''
env\t''
port\t''
passenv\t''
flags\t''
nice\t''
redirect\t''
banner\t''
banner_success\t''
banner_fail\t''
bind\t''
per_source\t''
groups\t''
cps\t''
disable\t''
max_load\t''
rlimit_as\t''
rlimit_cpu\t''
rlimit_data\t''
rlimit_rss\t''
rlimit_stack\t''
rlimit_files\t''
v6only\t''
deny_time\t''
umask\t''
libwrap\t''
cps_action\t''
per_source_prefix\t''
peer_env\t''
stderr\t''
socket_mode\t''
socket_user\t''
socket_group\t''
enabled\t''
disabled\t''
mdns\t''"
complete -c xinetctl -n "__fish_xinetctl_using_subcommand explain" -s h -l help -d 'Print help'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "check" -d 'Say what is wrong with configuration files, and what would start'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "dump" -d 'Print the configuration as it was understood, as JSON (docs/dump.md)'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "status" -d 'Say what the daemon is doing: services, sessions, who was refused, what is left out'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "sessions" -d 'Say who is being served, by which process, since when, and what it costs'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "kill" -d 'End sessions: by their numbers, or all of a service or of a client'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "pause" -d 'Let nobody in at services: clients wait until `resume`'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "drain" -d 'Close services, and wait until nobody is served any more'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "resume" -d 'Let clients in again, after `pause` or `drain`'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "deny" -d 'Lock an address out of every service'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "undeny" -d 'Let an address in again that was locked out, by `deny` or at a SENSOR'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "denied" -d 'Say who is locked out, and for how long'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "reload" -d 'Have the daemon read its files again, and say what came of it'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "connections" -d 'Show the connections of the services, as netstat does'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "convert" -d 'Make entries of xinetd.conf out of an inetd.conf, as itox does'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "enable" -d 'Switch services on, in their files'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "disable" -d 'Switch services off, in their files'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "demo" -d 'Run the daemon with mail services and others on 127.0.0.1, to see it at work'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "explain" -d 'Say what a service is, value by value, and where each value comes from'
complete -c xinetctl -n "__fish_xinetctl_using_subcommand help; and not __fish_seen_subcommand_from check dump status sessions kill pause drain resume deny undeny denied reload connections convert enable disable demo explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
