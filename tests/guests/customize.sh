#!/bin/sh
# Runs in mmdebstrap after all packages are configured; $1 is the new root.
set -eu
root=$1

# Nothing that waits for a network, a clock or a timer: the guest exists to reach its login prompt.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-pstore.service systemd-tmpfiles-clean.timer systemd-binfmt.service \
    systemd-hwdb-update.service ldconfig.service systemd-journal-catalog-update.service getty-static.service \
    systemd-logind.service modprobe@configfs.service modprobe@dm_mod.service modprobe@fuse.service \
    modprobe@loop.service modprobe@drm.service modprobe@efi_pstore.service sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount \
    dev-mqueue.mount systemd-random-seed.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-fsckd.socket systemd-initctl.socket \
    systemd-ask-password-console.path systemd-ask-password-wall.path \
    kmod-static-nodes.service systemd-modules-load.service systemd-sysctl.service systemd-journal-flush.service \
    systemd-tmpfiles-setup-dev.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

# Only the generators that make a login prompt and the file systems of fstab.
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
    case ${generator##*/} in
        systemd-fstab-generator | systemd-getty-generator) ;;
        *) ln -s /dev/null "$root/etc/systemd/system-generators/${generator##*/}" ;;
    esac
done

# udev looks at the disks and nothing else, and the journal stays in memory.
mkdir -p "$root/etc/systemd/system/systemd-udev-trigger.service.d" "$root/etc/systemd/journald.conf.d"
cat > "$root/etc/systemd/system/systemd-udev-trigger.service.d/disks-only.conf" <<'CONF'
[Service]
ExecStart=
ExecStart=udevadm trigger --type=devices --action=add --subsystem-match=block
CONF
printf '%s\n' '[Journal]' Storage=volatile > "$root/etc/systemd/journald.conf.d/volatile.conf"

# Both boot loaders, so that one root file system serves both firmwares. They look for the boot file system by its
# label: disk numbers change with the number of disks.
cat > "$root/tmp/find-boot.cfg" <<'CFG'
search --no-floppy --label boot --set root
set prefix=($root)/grub
CFG
common="part_msdos part_gpt ext2 normal linux search search_label configfile echo test ls reboot halt"
mkdir -p "$root/boot/grub/i386-pc" "$root/boot/efi/EFI/BOOT"
# shellcheck disable=SC2086
chroot "$root" grub-mkimage -O i386-pc -p /grub -c /tmp/find-boot.cfg -o /boot/grub/i386-pc/core.img biosdisk $common
# shellcheck disable=SC2086
chroot "$root" grub-mkimage -O x86_64-efi -p /grub -c /tmp/find-boot.cfg -o /boot/efi/EFI/BOOT/BOOTX64.EFI \
    efi_gop fat $common
cp "$root/usr/lib/grub/i386-pc/boot.img" "$root/boot/grub/i386-pc/boot.img"
rm "$root/tmp/find-boot.cfg"

# Only the names of the boot files are fixed; the kernel's version is the mirror's.
mv "$root"/boot/vmlinuz-* "$root/boot/vmlinuz"
mv "$root"/boot/initrd.img-* "$root/boot/initrd.img"
rm -f "$root"/vmlinuz* "$root"/initrd.img* "$root"/boot/System.map-*

# Units that run when /etc or /var is older than /usr would all run at the first boot.
touch "$root/etc/.updated" "$root/var/.updated"
