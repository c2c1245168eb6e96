# Keeps one RabbitMQ broker. Takes orders line by line, answers each with a line. When its
# input ends, as it does with the process that started it, it stops the broker and removes
# the folder. Arguments: the program of the broker, that of the port mapper of Erlang, the
# folder. The ports and files of the broker are in the environment.
broker=$1 mapper=$2 home=$3
trap '' INT TERM HUP QUIT

# Of its own: the one of the machine, if there is one, is not ours to start or stop.
"$mapper" -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null >"$home/mapper.log" 2>&1 &
mapper_number=$!

start() {
    # A log of its own for each life, so that its last line is not that of an earlier one.
    : >"$home/log"
    "$broker" </dev/null >>"$home/log" 2>&1 &
    server=$!
    while kill -0 "$server" 2>/dev/null; do
        if grep -q 'Server startup complete' "$home/log"; then
            echo ready
            return
        fi
        sleep 0.1
    done
    echo failed
}

stop() {
    kill -"$1" "$server" 2>/dev/null
    wait "$server" 2>/dev/null
}

while read -r order; do
    case $order in
        start) start ;;
        stop) stop TERM; echo stopped ;;
        kill) stop KILL; echo killed ;;
    esac
done
stop KILL
kill -KILL "$mapper_number" 2>/dev/null
rm -rf "$home"
