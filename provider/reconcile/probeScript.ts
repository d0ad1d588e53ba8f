/**
 * The shell text that reads a host: one function, one directory of section files. Read-only: it never runs ipvsadm
 * before the kernel has IPVS, because every run of ipvsadm loads it, nor asks for anything else that loads a module.
 *
 * Files named `s.*` are what decisions rest on; `lvs_sum` is their checksum, by which a script that was planned from one
 * probe knows, under the lock, whether it still fits. Files named `i.*` inform, and may move at any time.
 */
import { bootProbe, LEDGER_DIRECTORY } from "../kinds/bootFiles";
import { DEVICE_PREFIX } from "../kinds/kind";
import { ipvsListings } from "../kinds/ipvs";

/** Settings that are always read; others are added by who needs them. Paths under /proc/sys. */
const settings = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/vs/*",
    "net/ipv4/conf/*/forwarding",
    "net/ipv4/conf/*/accept_redirects",
    "net/ipv4/conf/*/send_redirects",
    "net/ipv4/conf/*/rp_filter",
    "net/ipv4/conf/*/arp_ignore",
    "net/ipv4/conf/*/arp_announce",
    "net/ipv6/conf/*/forwarding",
    "net/ipv6/conf/*/accept_redirects",
    "net/ipv6/conf/*/accept_ra",
];

/** Modules that this package may load or depends on, as one pattern. */
const MODULES = "ip_vs[a-z_]*|ipip|sit|ip6_tunnel|tunnel4|tunnel6|fou6?|ip_gre|ip6_gre|dummy|nf_tables|nf_conntrack|nft_masq|nft_nat";

/** Options of the kernel's configuration that matter to LVS. */
const OPTIONS =
    "IP_VS[A-Z0-9_]*|NET_IPIP|NET_FOU[A-Z0-9_]*|NET_IPGRE|NET_IPGRE_DEMUX|IPV6_GRE|IPV6_SIT|IPV6_TUNNEL|IPV6_FOU[A-Z0-9_]*|DUMMY|NF_TABLES[A-Z0-9_]*|NFT_MASQ|NFT_NAT|NF_CONNTRACK|MODULES";

const words = (list: readonly string[]) => ["ipvsadm", ...list].join(" ");

/** The function `lvs_probe DIR`, which fills DIR, and `lvs_sum DIR`, the checksum of what decisions rest on. */
export const probeFunctions = `
lvs_probe() {
    cd /proc/sys && grep -s . ${settings.join(" ")} $LVS_SETTINGS > "$1/s.sysctl"
    cd /
    cut -d' ' -f1 /proc/modules 2>/dev/null > "$1/s.modules"
    ip -o addr show 2>/dev/null | sed 's/ *valid_lft.*//;s/ dynamic//' > "$1/s.address"
    : > "$1/s.link"
    for d in /sys/class/net/${DEVICE_PREFIX}*; do
        [ -e "$d" ] && ip -d -o link show dev "\${d##*/}" >> "$1/s.link"
    done
    : > "$1/s.fou"
    if [ -d /sys/module/fou ]; then
        ip fou show >> "$1/s.fou" 2>/dev/null
        [ -d /sys/module/fou6 ] && ip -6 fou show 2>/dev/null | sed 's/$/ -6/' >> "$1/s.fou"
    fi
    for p in ip_vs/parameters/conn_tab_bits ip_vs_ftp/parameters/ports; do
        [ -r "/sys/module/$p" ] && { read -r v < "/sys/module/$p"; echo "\${p%%/*}.\${p##*/} $v"; }
    done > "$1/s.parameters"
    if [ -e /proc/net/ip_vs ] && command -v ipvsadm >/dev/null 2>&1; then
        ${words(ipvsListings.save)} > "$1/s.ipvs.save" 2>> "$1/i.trouble"
        ${words(ipvsListings.thresholds)} > "$1/i.ipvs.thresholds" 2>> "$1/i.trouble"
        ${words(ipvsListings.timeouts)} > "$1/s.ipvs.timeouts" 2>> "$1/i.trouble"
        ${words(ipvsListings.daemons)} > "$1/s.ipvs.daemons" 2>> "$1/i.trouble"
        cat /proc/net/ip_vs > "$1/i.connections"
    fi
    if [ -d /sys/module/nf_tables ] && command -v nft >/dev/null 2>&1; then
        nft -n list table inet pulumi_lvs > "$1/s.nft" 2>/dev/null
    fi
    {
        ${bootProbe}
    } > "$1/s.boot"
    grep -s '' ${LEDGER_DIRECTORY}/*.claims /dev/null > "$1/s.ledger"
    [ -d ${LEDGER_DIRECTORY} ] && echo there > "$1/s.ledgerdir"
    lvs_facts > "$1/i.facts"
    ip route show 2>/dev/null > "$1/i.route"
    ip -6 route show 2>/dev/null > "$1/i.route6"
    k=$(uname -r)
    { grep -shoE '(^|/)(${MODULES})\\.ko' "/lib/modules/$k/modules.dep" | sed 's/.*\\///;s/\\.ko//' | sort -u; } > "$1/i.loadable"
    { grep -shoE '/(${MODULES})\\.ko' "/lib/modules/$k/modules.builtin" | sed 's/.*\\///;s/\\.ko//'; } > "$1/s.builtin"
    grep -shE '^(blacklist|install) +(${MODULES})( |$)' /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /lib/modprobe.d/*.conf > "$1/i.blacklist"
    if [ -r /proc/config.gz ]; then zcat /proc/config.gz; else cat "/boot/config-$k" 2>/dev/null; fi |
        grep -E '^(# )?CONFIG_(${OPTIONS})[= ]' > "$1/i.config"
    grep -sE '^[a-z]' /etc/sysctl.conf /etc/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf /run/sysctl.d/*.conf | sed 's/ *= */=/' > "$1/i.sysctl.d"
    for d in /sys/class/net/*; do
        m=; read -r m 2>/dev/null < "$d/mtu" && echo "\${d##*/} $m"
    done > "$1/i.mtu"
}
lvs_facts() {
    m=; [ -r /etc/machine-id ] && read -r m < /etc/machine-id
    u=; [ -r /sys/class/dmi/id/product_uuid ] && read -r u < /sys/class/dmi/id/product_uuid
    echo "machine=$m $u"
    echo "release=$(uname -r)"
    echo "uid=$(id -u)"
    echo "now=$(date +%s)"
    [ -r /etc/os-release ] && (. /etc/os-release; echo "os=$PRETTY_NAME")
    [ -e /proc/net/ip_vs ] && echo ipvs=running
    [ -d /run/systemd/system ] && echo systemd=running
    for t in ipvsadm ip nft iptables flock timeout arping systemctl modprobe cksum sort; do
        p=$(command -v "$t" 2>/dev/null) && echo "tool.$t=$p"
    done
    for c in keepalived ldirectord; do
        [ -e "/run/$c.pid" ] || [ -e "/run/$c/$c.pid" ] || [ -e "/var/run/$c.pid" ] || continue
        echo "checker=$c"
    done
}
lvs_sum() {
    { cat "$1"/s.*; [ ! -e "$1/i.ipvs.thresholds" ] || sed 's/ *[0-9]* *[0-9]* *$//' "$1/i.ipvs.thresholds"; } | cksum
}
lvs_emit() {
    for f in "$1"/*; do
        [ -e "$f" ] || continue
        printf '\\n%s %s\\n' "$LVS_NONCE" "\${f##*/}"
        cat "$f"
    done
}
`.trim();
