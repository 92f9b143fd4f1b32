#!/bin/bash
# Boots the systemd of this machine over a throwaway layer of its own file system, with its own processes, cgroups and
# network (loopback only). Usage: machine.sh FOLDER PYTHON-PATH TARGET; what stands in FOLDER/files is laid over /, and the
# folders of PYTHON-PATH, joined by colons, are seen at TARGET. Nothing outside FOLDER and the cgroups in FOLDER/cgroups
# is touched; both vanish with the machine, which ends when its first process does.
set -euo pipefail

make_cgroups() {
    local controllers path root
    while IFS=: read -r _ controllers path; do
        case $controllers in
            cpuset) continue ;; # a new cpuset may hold no process before it was given processors
            "") root=/sys/fs/cgroup$(if [ -d /sys/fs/cgroup/unified ]; then echo /unified; fi) ;;
            *) root=/sys/fs/cgroup/${controllers#name=} ;;
        esac
        [ -d "$root" ] || continue
        mkdir "$root${path%/}/energyd-test-$$"
        echo "$root${path%/}/energyd-test-$$"
    done </proc/self/cgroup
}

mount_cgroups() {
    if ! [ -d /sys/fs/cgroup/unified ]; then
        mount -t cgroup2 cgroup2 "$1"
        return
    fi
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir "$1/unified" "$1/systemd"
    mount -t cgroup2 cgroup2 "$1/unified"
    mount -t cgroup -o none,name=systemd cgroup "$1/systemd"
    local controller
    for controller in cpu cpuacct memory pids devices; do
        mkdir "$1/$controller"
        mount -t cgroup -o "$controller" cgroup "$1/$controller"
    done
}

mount_devices() {
    local name
    mount -t tmpfs -o mode=755 tmpfs "$1"
    for name in null zero full random urandom tty; do cp -a "/dev/$name" "$1/$name"; done
    mkdir "$1/pts" "$1/shm" "$1/mqueue"
    mount -t tmpfs -o mode=1777 tmpfs "$1/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/pts"
    ln -s pts/ptmx "$1/ptmx"
    ln -s /proc/self/fd "$1/fd"
}

leave_out_the_services_of_this_machine() {
    local units=$1/etc/systemd/system unit
    rm -rf "$units"/*.wants "$units"/*.requires
    for unit in systemd-logind.service getty.target systemd-timesyncd.service systemd-journald-audit.socket \
        systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service sys-kernel-debug.mount \
        sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount proc-sys-fs-binfmt_misc.automount \
        systemd-tmpfiles-clean.timer systemd-networkd-wait-online.service; do
        ln -sfn /dev/null "$units/$unit"
    done
}

become_the_machine() {
    local layer=$1/layer root=$1/layer/root
    mount -t tmpfs -o mode=755 tmpfs "$layer"
    mkdir "$layer/upper" "$layer/work" "$root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount_cgroups "$root/sys/fs/cgroup"
    mount_devices "$root/dev"
    leave_out_the_services_of_this_machine "$root"
    rm -rf "$root/var/log/journal" "$root/etc/energyd" "$root/var/lib/private/energyd" "$root/var/lib/energyd" \
        "$root/opt/energyd" "$root/etc/credstore"
    mkdir -p "$root/var/log/journal"
    cp -a "$1/files/." "$root/"
    if [ -n "$2" ]; then
        mkdir -p "$root$3"
        mount -t overlay overlay -o "lowerdir=$2" "$root$3"
    fi
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    ip link set lo up
    mkdir "$root/.before"
    cd "$root"
    pivot_root . .before
    umount -l /.before
    rmdir /.before
    mount --make-rshared / # without it a user of its own cannot read its credentials
    exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --show-status=false --log-target=journal
}

if [ "${4:-}" = inside ]; then
    become_the_machine "$1" "$2" "$3"
fi
make_cgroups >"$1/cgroups"
while read -r group; do echo 0 >"$group/cgroup.procs"; done <"$1/cgroups"
mkdir "$1/layer"
exec setsid unshare --pid --mount --ipc --uts --net --cgroup --fork --kill-child --propagation private \
    "$0" "$1" "$2" "$3" inside
