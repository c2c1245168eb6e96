# Keeps one PostgreSQL cluster. Takes orders line by line, answers each with a line. When
# its input ends, as it does with the process that started it, it stops the cluster and
# removes the folder. Arguments: folder of the programs, folder of the cluster, options of
# the server.
bin=$1 home=$2
shift 2
trap '' INT TERM HUP QUIT

start() {
    tries=0
    while [ "$tries" -lt 100 ]; do
        "$bin/postgres" -D "$home/data" "$@" </dev/null >>"$home/log" 2>&1 &
        server=$!
        # What a killed server leaves behind can keep the next one from starting at once.
        while kill -0 "$server" 2>/dev/null; do
            if "$bin/pg_isready" -q -h "$home" -t 1; then
                echo ready
                return
            fi
            sleep 0.03
        done
        tries=$((tries + 1))
        sleep 0.1
    done
    echo failed
}

stop() {
    # The number of the server is the first line of its file, while it has one.
    if read -r number <"$home/data/postmaster.pid"; then kill -"$1" "$number"; fi 2>/dev/null
    wait
}

while read -r order; do
    case $order in
        start) start "$@" ;;
        stop) stop INT; echo stopped ;;
        kill) stop KILL; echo killed ;;
    esac
done
stop QUIT
rm -rf "$home"
