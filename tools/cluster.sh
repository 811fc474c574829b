#!/bin/bash
# Several hosts on this machine, to try sharded training over a network: each is a network namespace with an address, a
# hostname, a /dev/shm and an MPI daemon of its own, so ranks on different hosts reach each other over TCP only.
# Usage: tools/cluster.sh up N [--delay 5ms] [--loss 1%] [--rate 1gbit] [--congestion reno] [--seed 1]
#        tools/cluster.sh run N [--mpi openmpi|mpich] [--per-host K] [--print] [MPIRUN-OPTION...] -- PROGRAM ARGUMENT...
#        tools/cluster.sh on K COMMAND ARGUMENT...     runs a command on host K
#        tools/cluster.sh cut K | join K               pulls host K's cable out, and puts it back
#        tools/cluster.sh show                         what the hosts have sent and received
#        tools/cluster.sh down                         ends all that runs on the hosts, and removes them
# Host K is sc-hostK, 10.77.0.(K+1) on its eth0, the other end of which is a port of the namespace sc-switch: of a bridge, or,
# with a delay, loss or rate (of what each host sends), joined by tools/wire.c. Nothing leads out of these namespaces. `run`
# starts mpirun on host 0. As over ssh, the other hosts begin with a bare environment, in the home directory; Open MPI brings
# the working directory, and of the environment what -x NAME names. All hosts see the same files, /dev/shm excepted.
# A cut connection is only given up by TCP after a quarter of an hour, with `on K sysctl net.ipv4.tcp_retries2=5` on each host
# in half a minute. Debian 12's MPICH 4.0.2 often hangs in MPI_Finalize on three hosts or more, cable or bridge: pmodels/mpich
# pull request 6596. The wire runs at real-time priority, as ranks that wait for messages keep all cores busy.
# Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN), a kernel with veth, bridge and TAP devices, iproute2, and for `up` with delay,
# loss or rate a C compiler. `run` needs Open MPI 4 or MPICH. One cluster at a time: the names and /run/sc-cluster are fixed.
set -eu
self=$(readlink -f "$0")
state=/run/sc-cluster

fail() { echo "cluster: $*" >&2; exit 1; }
usage() { sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//; p}' "$self" >&2; exit 2; }
count() { cat "$state/count" 2>/dev/null || fail "no hosts are up; try: tools/cluster.sh up 2"; }
is_count() { [[ $1 =~ ^[0-9]{1,3}$ ]] && [ "$1" -ge 1 ] && [ "$1" -le 250 ]; }
has_host() {
    local n
    n=$(count)
    if ! [[ $1 =~ ^[0-9]{1,3}$ ]] || [ "$1" -ge "$n" ]; then fail "there is no host $1, the hosts are 0 to $((n - 1))"; fi
}
on_switch() { ip netns exec sc-switch "$@"; }

# "5ms", "300us", "1s" in microseconds; "1%" in millionths; "1gbit" in bits per second.
scaled() { # text, default unit, "unit factor" pairs
    local number=${1%%[a-z%]*} unit
    unit=${1#"$number"}
    shift
    [[ $number =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "\"$number$unit\" is no number with a unit"
    while [ $# -gt 1 ]; do
        [ "$unit" != "$1" ] || { awk -v x="$number" -v factor="$2" 'BEGIN { printf "%.0f\n", x * factor }'; return; }
        shift 2
    done
    fail "\"$number$unit\" has an unknown unit"
}

# ---- hosts ------------------------------------------------------------------------------------------------------------------

host_up() { # number, congestion control
    local host=sc-host$1 address=10.77.0.$(($1 + 1))
    ip netns add "$host"
    ip link add eth0 netns "$host" address "$(printf '02:00:00:00:%02x:%02x' $(($1 / 256)) $(($1 % 256)))" type veth peer name "port-$1" netns sc-switch
    ip netns exec "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    [ -z "$2" ] || ip netns exec "$host" sysctl -qw net.ipv4.tcp_congestion_control="$2" || fail "$2 is not for network namespaces here, /proc/sys/net/ipv4/tcp_allowed_congestion_control names those that are"
    ip -n "$host" address add "$address/24" dev eth0
    ip -n "$host" link set lo up
    ip -n "$host" link set eth0 up
    ip -n sc-switch link set "port-$1" up
    echo "$address $host" >>"$state/hosts"
}

bridge() { # bridge, its ports
    ip -n sc-switch link add "$1" type bridge
    local port
    for port in "${@:2}"; do ip -n sc-switch link set "$port" up master "$1"; done
    ip -n sc-switch link set "$1" up
}

wire_up() { # number of hosts, delay, loss, rate, seed
    local i
    cc -O2 -Wall -Wextra -D_GNU_SOURCE -o "$state/wire" "$(dirname "$self")/wire.c"
    for ((i = 0; i < $1; i++)); do
        ip -n sc-switch tuntap add "tap-$i" mode tap
        bridge "cable-$i" "port-$i" "tap-$i"
    done
    on_switch setsid chrt -f 1 "$state/wire" "$@" </dev/null >"$state/wire.log" 2>&1 &
    for ((i = 0; i < 100; i++)); do
        if grep -qs ready "$state/wire.log"; then return; fi
        sleep 0.05
    done
    fail "the wire does not start: $(cat "$state/wire.log")"
}

up() {
    local n=${1:-} delay=0 loss=0 rate=0 congestion='' seed=1 ports=() i
    is_count "$n" || usage
    shift
    while [ $# -gt 1 ]; do
        case $1 in
            --delay) delay=$(scaled "$2" us 1 ms 1e3 s 1e6) ;;
            --loss) loss=$(scaled "$2" % 1e4) ;;
            --rate) rate=$(scaled "$2" bit 1 kbit 1e3 mbit 1e6 gbit 1e9) ;;
            --congestion) congestion=$2 ;;
            --seed) seed=$2 ;;
            *) usage ;;
        esac
        shift 2
    done
    [ $# = 0 ] || usage
    [ "$(id -u)" = 0 ] || fail "only root can make network namespaces"
    [ ! -e "$state" ] || fail "hosts are up already, or were left there; remove them by: tools/cluster.sh down"
    mkdir "$state"
    trap '[ $? = 0 ] || down' EXIT
    echo "$n" >"$state/count"
    echo "127.0.0.1 localhost" >"$state/hosts"
    # shellcheck disable=SC2016
    printf '#!/bin/bash\nexec "%s" agent "$@"\n' "$self" >"$state/agent"
    chmod +x "$state/agent"
    ip netns add sc-switch
    on_switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    for ((i = 0; i < n; i++)); do host_up "$i" "$congestion"; ports+=("port-$i"); done
    if [ "$delay$loss$rate" = 000 ]; then bridge lan "${ports[@]}"; else wire_up "$n" "$delay" "$loss" "$rate" "$seed"; fi
    echo "$n hosts are up: sc-host0 to sc-host$((n - 1)), each way $delay microseconds, $loss of a million frames lost, $rate bits a second (0: no limit), $(ip netns exec sc-host0 sysctl -n net.ipv4.tcp_congestion_control) congestion control"
}

down() {
    local name pids
    [ -e "$state/count" ] || { rmdir "$state" 2>/dev/null || true; return 0; }
    for name in $(ip netns list | awk '$1 ~ /^sc-(host[0-9]+|switch)$/ { print $1 }' | sort); do
        pids=$(ip netns pids "$name")
        # shellcheck disable=SC2086
        if [ -n "$pids" ]; then
            kill $pids 2>/dev/null || true
            for _ in 1 2 3 4 5 6 7 8 9 10; do pids=$(ip netns pids "$name"); [ -n "$pids" ] || break; sleep 0.1; done
            [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
        fi
        ip netns del "$name"
    done
    grep -hs '^host' "$state/wire.log" || true
    rm -rf "$state" /tmp/ompi.sc-host[0-9]*       # sessions that mpirun left when it was killed
}

# ---- programs ---------------------------------------------------------------------------------------------------------------

# The rest of this script runs as the host: with its network, its name, and no shared memory with the others.
on_host() { # name, command, arguments
    # shellcheck disable=SC2016
    exec ip netns exec "$1" unshare --mount --uts --ipc /bin/sh -c '
        hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs tmpfs /dev/shm || exit 1
        shift 2
        exec "$@"' sh "$1" "$state/hosts" "${@:2}"
}

# In the place of ssh: [-x] HOST COMMAND WORD... . What it starts begins with what sshd gives: not with our environment.
agent() {
    while [[ $1 == -* ]]; do shift; done
    local host=$1
    shift
    grep -q " $host\$" "$state/hosts" || fail "there is no host $host"
    cd "$HOME"
    on_host "$host" env -i HOME="$HOME" USER="${USER:-root}" SHELL=/bin/bash PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "$*"
}

run() {
    local n=${1:-} mpi=openmpi per_host=1 is_printing='' options=() command i
    is_count "$n" || usage
    shift
    has_host $((n - 1))
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        case $1 in
            --mpi) mpi=$2; shift ;;
            --per-host) per_host=$2; shift ;;
            --print) is_printing=1 ;;
            *) options+=("$1") ;;
        esac
        shift
    done
    [ $# -gt 1 ] || usage
    shift
    for ((i = 0; i < n; i++)); do
        if [ "$mpi" = openmpi ]; then echo "sc-host$i slots=$per_host"; else echo "sc-host$i:$per_host"; fi
    done >"$state/hostfile-$mpi-$n-$per_host"
    case $mpi in
        # The hosts share this machine's cores: no binding (each would begin with core 0), and the core is given up when idle.
        openmpi)
            command=(mpirun.openmpi --allow-run-as-root --hostfile "$state/hostfile-$mpi-$n-$per_host" -np $((n * per_host)) --map-by slot --bind-to none
                --mca plm rsh --mca plm_rsh_agent "$state/agent" --mca oob_tcp_if_include eth0 --mca mpi_yield_when_idle 1
                --mca pml ob1 --mca btl "$([ "$per_host" = 1 ] || echo vader,)tcp,self" --mca btl_tcp_if_include eth0) ;;
        mpich)
            command=(env UCX_TLS="$([ "$per_host" = 1 ] || echo sm,)tcp,self" UCX_NET_DEVICES=eth0 FI_PROVIDER=tcp FI_TCP_IFACE=eth0
                mpiexec.hydra -f "$state/hostfile-$mpi-$n-$per_host" -np $((n * per_host)) -launcher ssh -launcher-exec "$state/agent" -iface eth0) ;;
        *) fail "--mpi is $mpi, expected openmpi or mpich" ;;
    esac
    command+=("${options[@]}" "$@")
    if [ -n "$is_printing" ]; then printf '%q ' "$self" on 0 "${command[@]}"; echo; return; fi
    on_host sc-host0 "${command[@]}"
}

show() {
    local i n
    n=$(count)
    for ((i = 0; i < n; i++)); do
        ip -n "sc-host$i" -s link show eth0 | awk -v host="sc-host$i" '
            /state/ { state = /NO-CARRIER/ ? "cut off" : "connected" }
            /RX:/ { getline; received = $1 " bytes in " $2 " packets" }
            /TX:/ { getline; print host ": " state ", received " received ", sent " $1 " bytes in " $2 " packets" }'
    done
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
    up | run) "$verb" "$@" ;;
    down) down ;;
    show) show ;;
    agent) agent "$@" ;;
    on) [ $# -gt 1 ] || usage; has_host "$1"; on_host "sc-host$1" "${@:2}" ;;
    cut) has_host "${1:-}"; ip -n sc-switch link set "port-$1" down ;;
    join) has_host "${1:-}"; ip -n sc-switch link set "port-$1" up ;;
    *) usage ;;
esac
