#!/bin/busybox sh
# The first process of a guest. It readies an ordinary small Linux, runs what the guest is for
# and reports to the second serial port, one JSON line after the other.

# A container's root is entered with pivot_root, which the first root of a kernel refuses.
if [ ! -e /moved ]; then
    /bin/busybox mkdir /moved
    /bin/busybox mount -t tmpfs root /moved
    for entry in /*; do
        [ "$entry" = /moved ] || /bin/busybox cp -a "$entry" /moved || exit 1
    done
    /bin/busybox mkdir /moved/moved
    exec /bin/busybox switch_root /moved /init
fi

/bin/busybox mkdir -p /proc /sys /dev /tmp /run /bin
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug

. /test/environment

# A report must arrive as it was written.
stty -F "$REPORT" raw -echo

while read -r module; do
    insmod "/modules/$module" || echo "init: the module $module did not load"
done < /modules/order

ip link set lo up

# Some cases keep hundreds of connections open at both ends.
ulimit -n 65536
hostname guest

read -r uptime _ < /proc/uptime
echo "{\"booted\": $uptime, \"release\": \"$(uname -r)\"}" > "$REPORT"

. /test/run
echo "{\"exit\": $?}" > "$REPORT"

sync
poweroff -f
