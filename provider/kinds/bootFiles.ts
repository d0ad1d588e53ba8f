/**
 * The texts of the boot unit, of its script and of what hears of systemd-networkd and NetworkManager, and the checksums by
 * which a probe knows them.
 */
import { dirname } from "node:path/posix";
import { ranks } from "./kind";

export const BOOT_UNIT = "pulumi-lvs.service";
export const LEDGER_DIRECTORY = "/var/lib/pulumi-lvs";
export const BOOT_SCRIPT = `${LEDGER_DIRECTORY}/boot`;
const UNITS = "/etc/systemd/system";
const DISPATCHER = "/etc/NetworkManager/dispatcher.d";

/** NetworkManager has configured an interface. */
const CONFIGURED = "/run/pulumi-lvs/configured";

/**
 * Runs the ledger's lines in the order of their ranks. It knows no kind and no resource: a line is a rank, a place (kind
 * and key) and the ready command. Of several files that claim one place the newest one's command runs, as it would live.
 * Another machine's ledger (a clone) sets nothing; after a line that failed, the later ranks of that file are left out,
 * so that no address comes up without the settings that it needs. Addresses take part in no order among themselves, and
 * each has to wait for an answer that should not come: they are set at once.
 *
 * With the argument `network` it comes after systemd-networkd or NetworkManager, which take away addresses and routes that
 * they do not know when they configure an interface: then it sets these alone, and only if a file of networkd's is newer
 * than the last time, or NetworkManager has said so. So an address that somebody took off by hand does not come back.
 */
const SCRIPT = `#!/bin/sh
# Written by pulumi-lvs: sets what the ledger beside it claims. It goes with the last claim.
LC_ALL=C; export LC_ALL
umask 077
cd ${LEDGER_DIRECTORY} || exit 0
mkdir -p /run/pulumi-lvs || exit
seen=/run/pulumi-lvs/network
least=0
if [ "$1" = network ]; then
    sleep 2
    [ -e ${CONFIGURED} ] || [ -n "$(find /etc/systemd/network /run/systemd/network -newer $seen 2>/dev/null)" ] || exit 0
    rm -f ${CONFIGURED}
    # Where something has failed, an address may lack what it needs: all has to go in order, once more.
    ! systemctl -q is-failed ${BOOT_UNIT} 2>/dev/null || exec systemctl --no-block start ${BOOT_UNIT}
    least=${ranks.address}
fi
# An interface in these states loses its addresses when it leaves them.
n=0
while [ $n -lt 10 ] && grep -qsE '^ADMIN_STATE=(pending|initialized)' /run/systemd/netif/links/*; do
    n=$((n + 1)); sleep 1
done
exec 9>/run/pulumi-lvs/lock
flock -w 300 9 || { echo "another run holds /run/pulumi-lvs/lock: nothing was set; then: systemctl restart ${BOOT_UNIT}" >&2; exit 1; }
machine="$(cat /etc/machine-id 2>/dev/null) $(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
machine=\${machine# }; machine=\${machine% }
tab=$(printf '\\t')

claims() {
    for file in *.claims; do
        [ -f "$file" ] || continue
        known=; ours=; boots=1; sequence=0
        while IFS= read -r line; do
            case $line in
            "pulumi-lvs 1") known=1 ;;
            "sequence "*) sequence=\${line#* } ;;
            "machine $machine") ours=1 ;;
            "machine "*) echo "$file was written on another machine (\${line#* }; this is $machine): it is left alone" >&2 ;;
            "boot no") boots= ;;
            "claim$tab"*) [ "$known$ours$boots" = 111 ] && printf '%s\\t%s\\t%s\\n' "$sequence" "\${line#claim?}" "$file" ;;
            esac
        done < "$file"
    done
}

says() { echo "$(sed -n 's/^owner \\(.*\\)#\\(.*\\)$/\\2 of \\1/p' "$file"): $what: $1" >&2; }

attempt() {
    out=$(sh -c "$(printf '%b' "$command")" 2>&1 </dev/null 9>&-) && { [ -z "$out" ] || says "$out"; return 0; }
    case $out in *"File exists"*|*"already exists"*|*"already run"*|*"already assigned"*|*"Address already in use"*) return 0 ;; *) return 1 ;; esac
}

rm -f /run/pulumi-lvs/failed
before=$(ip -br addr show 2>/dev/null)
claims | sort -t "$tab" -k2,2n -k3,3 -k4,4 -k1,1nr | {
    failed=' '; causes=; place=; count=0
    while IFS= read -r line; do
        file=\${line##*"$tab"}; line=\${line%"$tab"*}
        command=\${line##*"$tab"}; line=\${line#*"$tab"}
        rank=\${line%%"$tab"*}; line=\${line#*"$tab"}
        [ "$rank" -ge $least ] || [ "$rank" = ${ranks.route} ] || continue
        kind=\${line%%"$tab"*}; line=\${line#*"$tab"}
        what="$kind \${line%%"$tab"*}"
        case $failed in *" $file="*)
            at=\${failed#*" $file="}
            if [ "\${at%% *}" -lt "$rank" ]; then says "left out"; continue; fi ;;
        esac
        if [ "$what" = "$place" ]; then
            [ -z "$lost" ] || failed="$failed$file=$rank "
            continue
        fi
        [ -n "$command" ] || continue
        place=$what; lost=
        if [ "$rank" -ge ${ranks.address} ]; then
            { attempt || { says "$out"; : > /run/pulumi-lvs/failed; }; } &
            count=$((count + 1)); [ $((count % 32)) != 0 ] || wait
        elif ! attempt; then
            lost=1; failed="$failed$file=$rank "; causes="$causes
$(says "$out" 2>&1)"
        fi
    done
    wait
    if [ "$failed" != ' ' ] || [ -e /run/pulumi-lvs/failed ]; then
        rm -f /run/pulumi-lvs/failed
        # Last, so that they are among the lines that \`systemctl status\` shows.
        [ -z "$causes" ] || echo "\${causes#?}" >&2
        echo "once the cause is gone: systemctl restart ${BOOT_UNIT}; where a name has changed: pulumi up --refresh" >&2
        exit 1
    fi
}
status=$?
[ $least = 0 ] || [ "$before" != "$(ip -br addr show 2>/dev/null)" ] && : > $seen
# What still announces an address in the background is killed with a unit that has failed.
exec 9>&-
[ $status = 0 ] || sleep 3
exit $status
`;

/** What takes away what we set when it is restarted or reloaded (Debian's nftables.conf begins with a flush, iptables-restore replaces whole tables). */
const companions =
    "networking.service systemd-networkd.service NetworkManager.service nftables.service netfilter-persistent.service iptables.service ip6tables.service firewalld.service ufw.service";

const AGAIN_UNIT = "pulumi-lvs-again.service";

/**
 * Ordered after the network and the packet filter, and after what waits for them to be done; reloaded with them. It must
 * be no part of them (`PartOf`): a firewalld that starts takes nftables.service off, which would stop this one, and one
 * that restarts could not, because it would be stopped and restarted in one transaction.
 */
const UNIT = `[Unit]
Description=Linux Virtual Server as declared by pulumi-lvs
Wants=network-online.target pulumi-lvs-network.path
After=network-online.target systemd-modules-load.service systemd-sysctl.service ${companions}
After=systemd-networkd-wait-online.service NetworkManager-wait-online.service
ReloadPropagatedFrom=${companions}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${BOOT_SCRIPT}
ExecReload=/bin/sh ${BOOT_SCRIPT}

[Install]
WantedBy=multi-user.target
Also=${AGAIN_UNIT}
`;

/** Comes with each of them when it starts: at boot it finds nothing to restart. */
const AGAIN = `[Unit]
Description=pulumi-lvs once more, after what takes away what it has set
After=${companions}
Before=${BOOT_UNIT}

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl -q is-failed ${BOOT_UNIT} && exec systemctl --no-block start ${BOOT_UNIT}; exec systemctl --no-block try-restart ${BOOT_UNIT}'

[Install]
WantedBy=${companions}
`;

/**
 * `networkctl reload` is no job of systemd's that could take a unit along: what it leaves behind is watched. Without the
 * default dependencies, by which it would come before all services: that is a cycle, which systemd ends by leaving out one
 * of its jobs, at times the boot unit's.
 */
const WATCH = `[Unit]
Description=Watch systemd-networkd for pulumi-lvs
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
PartOf=${BOOT_UNIT}
After=${BOOT_UNIT}

[Path]
PathChanged=/run/systemd/netif/links
`;

const AFTER_NETWORK = `[Unit]
Description=Addresses that the network's configuration took away, as declared by pulumi-lvs
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh ${BOOT_SCRIPT} network
`;

/**
 * NetworkManager tells its dispatcher's scripts when it has configured an interface (`nmcli connection up`, `nmcli device
 * reapply`, a cable that is back), which is no job of systemd's either. One that follows another begins anew; before the
 * boot unit has begun there is nothing to bring back.
 */
const AFTER_NETWORK_MANAGER = `#!/bin/sh
# Written by pulumi-lvs: what it set on an interface comes back after NetworkManager has configured it.
case $2 in up|reapply) ;; *) exit 0 ;; esac
[ "$(systemctl show -P ActiveState ${BOOT_UNIT})" != inactive ] || exit 0
mkdir -p /run/pulumi-lvs && : > ${CONFIGURED}
exec systemctl --no-block restart pulumi-lvs-network.service
`;

interface BootFile {
    text: string;
    mode: string;
    /** Only where its directory is: the host has what it speaks to. */
    optional?: true;
}

/** Every file of the boot unit by its path. */
export const bootFiles: Record<string, BootFile> = {
    [BOOT_SCRIPT]: { text: SCRIPT, mode: "0700" },
    [`${UNITS}/${BOOT_UNIT}`]: { text: UNIT, mode: "0644" },
    [`${UNITS}/${AGAIN_UNIT}`]: { text: AGAIN, mode: "0644" },
    [`${UNITS}/pulumi-lvs-network.path`]: { text: WATCH, mode: "0644" },
    [`${UNITS}/pulumi-lvs-network.service`]: { text: AFTER_NETWORK, mode: "0644" },
    [`${DISPATCHER}/90-pulumi-lvs`]: { text: AFTER_NETWORK_MANAGER, mode: "0755", optional: true },
};

const paths = Object.keys(bootFiles);

/** What a probe says of these files where they are whole and enabled: their checksums by cksum(1), and "enabled". */
export const bootValue = `${Object.values(bootFiles)
    .map(({ text }) => cksum(text))
    .join(" ")} enabled`;

/** The probe's command that says it. */
export const bootProbe = `if [ -e ${UNITS}/${BOOT_UNIT} ] || [ -e ${BOOT_SCRIPT} ]; then
    cksum ${paths.join(" ")} 2>/dev/null
    [ -d ${DISPATCHER} ] || echo "no ${DISPATCHER}"
    [ -L ${UNITS}/multi-user.target.wants/${BOOT_UNIT} ] && echo enabled
fi`;

/**
 * The value out of what that printed: checksum and size of each file, and whether the unit is enabled. A file whose
 * directory the host does not have counts as there.
 */
export function readBoot(printed: string[]): string | undefined {
    if (printed.length === 0) return undefined;
    const sum = ([path, { text }]: [string, BootFile]) =>
        printed.includes(`no ${dirname(path)}`)
            ? cksum(text)
            : (/^(\d+ \d+) /.exec(printed.find((line) => line.endsWith(` ${path}`)) ?? "")?.[1] ?? "absent");
    return [...Object.entries(bootFiles).map(sum), printed.includes("enabled") ? "enabled" : "disabled"].join(" ");
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
