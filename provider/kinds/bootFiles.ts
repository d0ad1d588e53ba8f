/** The texts of the boot unit and of its script, and the checksum by which a probe knows them. */

export const BOOT_UNIT = "pulumi-lvs.service";
export const LEDGER_DIRECTORY = "/var/lib/pulumi-lvs";
export const BOOT_SCRIPT = `${LEDGER_DIRECTORY}/boot`;
const UNIT_PATH = `/etc/systemd/system/${BOOT_UNIT}`;

/**
 * Runs the ledger's lines in the order of their ranks. It knows no kind and no resource: a line is a rank, and at its
 * end the ready command. Another machine's ledger (a clone) is silent; after a line that failed, the later ranks of that
 * file are left out, so that no address comes up without the settings that it needs.
 */
const SCRIPT = `#!/bin/sh
# Written by pulumi-lvs: sets what the ledger beside it claims. It goes with the last claim.
LC_ALL=C; export LC_ALL
umask 077
cd ${LEDGER_DIRECTORY} || exit 0
mkdir -p /run/pulumi-lvs
exec 9>/run/pulumi-lvs/lock
flock -w 60 9 || exit 1
machine="$(cat /etc/machine-id 2>/dev/null) $(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
machine=\${machine# }; machine=\${machine% }
tab=$(printf '\\t')

claims() {
    for file in *.claims; do
        [ -f "$file" ] || continue
        known=; ours=; boots=1
        while IFS= read -r line; do
            case $line in
            "pulumi-lvs 1") known=1 ;;
            "machine $machine") ours=1 ;;
            "boot no") boots= ;;
            "claim$tab"*) [ "$known$ours$boots" = 111 ] && printf '%s\\t%s\\n' "\${line#claim?}" "$file" ;;
            esac
        done < "$file"
    done
}

claims | sort -s -t "$tab" -k1,1n | {
    failed=' '
    while IFS= read -r line; do
        file=\${line##*"$tab"}; line=\${line%"$tab"*}
        command=\${line##*"$tab"}; line=\${line#*"$tab"}
        kind=\${line%%"$tab"*}; line=\${line#*"$tab"}
        what="$kind \${line%%"$tab"*}"
        case $failed in *" $file "*) echo "$file: $what: left out" >&2; continue ;; esac
        [ -n "$command" ] || continue
        if ! out=$(sh -c "$(printf '%b' "$command")" 2>&1 </dev/null 9>&-); then
            case $out in *"File exists"*|*"already exists"*|*"already run"*|*"already assigned"*|*"Address already in use"*) continue ;; esac
            echo "$file: $what: $out" >&2
            failed="$failed$file "
        fi
    done
    [ "$failed" = ' ' ]
}
`;

/**
 * Ordered after the network and the packet filter, and pulled along when either is restarted or reloaded, because both
 * take away what we set (Debian's nftables.conf begins with a flush).
 */
const companions =
    "networking.service systemd-networkd.service NetworkManager.service nftables.service firewalld.service ufw.service";
const UNIT = `[Unit]
Description=Linux Virtual Server as declared by pulumi-lvs
Wants=network-online.target
After=network-online.target systemd-modules-load.service systemd-sysctl.service ${companions}
PartOf=${companions}
ReloadPropagatedFrom=${companions}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${BOOT_SCRIPT}
ExecReload=/bin/sh ${BOOT_SCRIPT}

[Install]
WantedBy=multi-user.target
`;

/** Every file of the boot unit: path, text and mode. */
export const bootFiles: Record<string, { text: string; mode: string }> = {
    [BOOT_SCRIPT]: { text: SCRIPT, mode: "0700" },
    [UNIT_PATH]: { text: UNIT, mode: "0644" },
};

/** What a probe says of these files where they are whole and enabled: their checksums by cksum(1), and "enabled". */
export const bootValue = `${[SCRIPT, UNIT].map(cksum).join(" ")} enabled`;

/** The probe's command that says it. */
export const bootProbe = `if [ -e ${UNIT_PATH} ] || [ -e ${BOOT_SCRIPT} ]; then
    cksum ${BOOT_SCRIPT} ${UNIT_PATH} 2>/dev/null
    [ -L /etc/systemd/system/multi-user.target.wants/${BOOT_UNIT} ] && echo enabled
fi`;

/** The value out of what that printed: checksum, size and path of each file, and whether the unit is enabled. */
export function readBoot(printed: string[]): string | undefined {
    if (printed.length === 0) return undefined;
    const sum = (path: string) =>
        /^(\d+ \d+) /.exec(printed.find((line) => line.endsWith(` ${path}`)) ?? "")?.[1] ?? "absent";
    return [sum(BOOT_SCRIPT), sum(UNIT_PATH), printed.includes("enabled") ? "enabled" : "disabled"].join(" ");
}

/** POSIX cksum(1): its CRC and the number of bytes. */
export function cksum(text: string): string {
    const bytes = Buffer.from(text);
    let crc = 0;
    const feed = (byte: number) => {
        crc ^= byte << 24;
        for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
    };
    for (const byte of bytes) feed(byte);
    for (let length = bytes.length; length > 0; length >>>= 8) feed(length & 0xff);
    return `${~crc >>> 0} ${bytes.length}`;
}
