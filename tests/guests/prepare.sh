#!/bin/sh
# Runs in mmdebstrap between the essential packages and the others; $1 is the new root.
# A small initial RAM disk: only what boots from an IDE or AHCI disk, and no udev, which is slow in emulation.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/hooks"
printf '%s\n' ahci ata_piix sd_mod ext4 crc32c_generic > "$1/etc/initramfs-tools/modules"
printf '%s\n' MODULES=list BUSYBOX=y COMPRESS=zstd COMPRESSLEVEL=6 RESUME=none FSTYPE=ext4 > "$1/etc/initramfs-tools/conf.d/guest"
cat > "$1/etc/initramfs-tools/hooks/without-udev" <<'HOOK'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
rm -rf "$DESTDIR"/scripts/init-top/udev "$DESTDIR"/usr/lib/udev "$DESTDIR"/usr/lib/systemd \
    "$DESTDIR"/usr/bin/udevadm "$DESTDIR"/etc/udev
# What is left of udev's script: the new root gets the device nodes.
cat > "$DESTDIR/scripts/init-bottom/udev" <<'SCRIPT'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
mount -n -o move /dev "$rootmnt/dev"
SCRIPT
chmod +x "$DESTDIR/scripts/init-bottom/udev"
HOOK
chmod +x "$1/etc/initramfs-tools/hooks/without-udev"
