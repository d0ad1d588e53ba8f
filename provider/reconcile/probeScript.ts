/**
 * The shell text that reads a host, onto standard output, each section behind a line with the run's nonce. Read-only: it
 * never runs ipvsadm before the kernel has IPVS, because every run of ipvsadm loads it, nor asks for anything else that
 * loads a module. Processes are what it costs, so it starts few.
 *
 * `lvs_probe` reads what decisions rest on; its checksum by `lvs_sum`, taken again under the lock, tells a script whether
 * the plan that it carries still fits. `lvs_notice` reads what anybody may move at any time (loaded modules), and
 * `lvs_inform` what does not change while we work, or does not decide.
 */
import { ipvsadmOptions } from "../ipvs/gates";
import { ARPING } from "../kinds/address";
import { bootProbe, LEDGER_DIRECTORY } from "../kinds/bootFiles";
import { HOP_PROTOCOL } from "../kinds/hop";
import { CHAINS, FAILED } from "../kinds/iptables";
import { ipvsListings } from "../kinds/ipvs";
import { DEVICE_PREFIX } from "../kinds/kind";

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
const MODULES =
    "ip_vs[a-z_]*|ipip|sit|ip6_tunnel|tunnel4|tunnel6|fou6?|ip_gre|ip6_gre|dummy|nf_tables|nf_conntrack|nft_masq|nft_nat";

/** Options of the kernel's configuration that matter to LVS. */
const OPTIONS =
    "IP_VS[A-Z0-9_]*|NET_IPIP|NET_FOU[A-Z0-9_]*|NET_IPGRE|NET_IPGRE_DEMUX|IPV6_GRE|IPV6_SIT|IPV6_TUNNEL|IPV6_FOU[A-Z0-9_]*|DUMMY|NF_TABLES[A-Z0-9_]*|NFT_MASQ|NFT_NAT|NF_CONNTRACK|MODULES";

/** A listing that fails is no empty table: the line that says so is one that no reader takes. */
const words = (list: readonly string[]) => `${["ipvsadm", ...list].join(" ")} || echo "ipvsadm failed"`;

/** The functions `lvs_probe`, `lvs_inform`, and `lvs_sum FILE`: the checksum of a probe's output, nonce, counters and lifetimes aside. */
export const probeFunctions = `
lvs_section() { printf '\\n%s %s\\n' "$LVS_NONCE" "$1"; }
# Whether nft can list without loading anything: its module is loaded, or is no module but built in.
lvs_tables() {
    command -v nft >/dev/null 2>&1 && { [ -d /sys/module/nf_tables ] || ! grep -qs '/nf_tables[.]ko' /lib/modules/*/modules.dep; }
}
# Whether iptables has anything to list. Its listing of all tables reads those that are in use, by either backend, where
# that of one table (-t nat) would load it; and before a backend is loaded there is none.
lvs_listable() {
    { [ -d /sys/module/nf_tables ] || [ -e /proc/net/\${1%tables}_tables_names ]; } && command -v $1-save >/dev/null 2>&1
}
lvs_probe() {
    lvs_section sysctl
    cd /proc/sys && grep -s . ${settings.join(" ")} $LVS_SETTINGS
    cd /
    lvs_section address
    ip -o addr show 2>/dev/null
    case $LVS_GROUPS in *"|tunnel|"*)
    lvs_section link
    for d in /sys/class/net/${DEVICE_PREFIX}* /sys/class/net/dummy*; do
        [ -e "$d" ] && ip -d -o link show dev "\${d##*/}"
    done
    lvs_section fou
    if [ -d /sys/module/fou ]; then
        ip fou show 2>/dev/null
        [ -d /sys/module/fou6 ] && ip -6 fou show 2>/dev/null | sed 's/$/ -6/'
    fi
    ;; esac
    lvs_section parameters
    for p in ip_vs/parameters/conn_tab_bits ip_vs_ftp/parameters/ports; do
        [ -r "/sys/module/$p" ] && { read -r v < "/sys/module/$p"; echo "\${p%%/*}.\${p##*/} $v"; }
    done
    if [ -e /proc/net/ip_vs ] && command -v ipvsadm >/dev/null 2>&1; then
        case $LVS_GROUPS in *"|ipvs|"*)
        lvs_section ipvs.save
        ${words(ipvsListings.save)}
        lvs_section ipvs.thresholds
        ${words(ipvsListings.thresholds)}
        ;; esac
        case $LVS_GROUPS in *"|ipvs.host|"*)
        lvs_section ipvs.timeouts
        ${words(ipvsListings.timeouts)}
        lvs_section ipvs.daemons
        ${words(ipvsListings.daemons)}
        ;; esac
    fi
    case $LVS_GROUPS in *"|filter|"*)
    lvs_section nft
    if lvs_tables; then
        nft -n list table inet pulumi_lvs 2>/dev/null
    fi
    # Without nft, or where a ledger says so, iptables has our rules.
    if ! command -v nft >/dev/null 2>&1 || grep -qs 'tables PULUMI-LVS' ${LEDGER_DIRECTORY}/*.claims; then
        for p in iptables ip6tables; do
            lvs_listable $p || continue
            lvs_section $p
            { $p-save 2>/dev/null || echo "${FAILED}"; } | grep -E '^[*]|^(:|-A )${CHAINS}| -[jg] ${CHAINS}|^${FAILED}'
        done
    fi
    ;; esac
    case $LVS_GROUPS in *"|route|"*)
    lvs_section route.default
    ip -4 -o route show default 2>/dev/null
    lvs_section route6.default
    ip -6 -o route show default 2>/dev/null
    lvs_section route.hops
    ip -4 route show proto ${HOP_PROTOCOL} 2>/dev/null
    ip -6 route show proto ${HOP_PROTOCOL} 2>/dev/null
    lvs_section route.up
    ip -o link show up 2>/dev/null | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'
    ;; esac
    lvs_section boot
    ${bootProbe}
    lvs_section ledger
    grep -as '' ${LEDGER_DIRECTORY}/*.claims /dev/null
    for f in ${LEDGER_DIRECTORY}/*.claims; do [ -s "$f" ] || [ ! -e "$f" ] || echo "$f:"; done
    lvs_section ledgerdir
    [ -d ${LEDGER_DIRECTORY} ] && echo there
    :
}
lvs_notice() {
    lvs_section modules
    while read -r m v; do echo "$m"; done < /proc/modules 2>/dev/null
}
lvs_inform() {
    k=$(uname -r)
    lvs_section facts
    m=; [ -r /etc/machine-id ] && read -r m < /etc/machine-id
    u=; [ -r /sys/class/dmi/id/product_uuid ] && read -r u < /sys/class/dmi/id/product_uuid
    echo "machine=$m $u"
    # Which kernel and which of its networks: the same by whatever connection, and another for a clone or a container.
    b=; [ -r /proc/sys/kernel/random/boot_id ] && read -r b < /proc/sys/kernel/random/boot_id
    echo "network=$b $(readlink /proc/self/ns/net)"
    echo "release=$k"
    printf 'uid='; id -u
    printf 'now='; date +%s
    [ -r /etc/os-release ] && (. /etc/os-release; echo "os=$PRETTY_NAME")
    [ -d /run/systemd/system ] && echo systemd=running
    for t in ipvsadm ip nft iptables ip6tables flock timeout arping perl systemctl modprobe cksum sort; do
        command -v "$t" >/dev/null 2>&1 && echo "tool.$t=yes"
    done
    # Where perl does not speak ARP, an arping of another make does not either.
    command -v perl >/dev/null 2>&1 || case $(arping -V 2>&1) in ${ARPING}) ;; *) echo "arping=other" ;; esac
    for f in /run/keepalived.pid /run/keepalived/keepalived.pid /var/run/keepalived.pid; do
        [ -e "$f" ] && echo "checker=keepalived" && break
    done
    for f in /run/checkers.pid /run/keepalived/checkers.pid /run/keepalived_checkers.pid; do
        [ -e "$f" ] && echo "checking=keepalived" && break
    done
    # Named after its configuration: ldirectord.ldirectord.pid.
    for f in /run/ldirectord*.pid /run/ldirectord/*.pid /var/run/ldirectord*.pid; do
        [ -e "$f" ] && echo "checker=ldirectord" && echo "checking=ldirectord" && break
    done
    # The devices that they put their addresses on; kube-proxy has one in its ipvs mode alone.
    [ -e /sys/class/net/kube-ipvs0 ] && echo "keeper=kube-proxy"
    [ -e /sys/class/net/kube-dummy-if ] && echo "keeper=kube-router"
    s="\${SSH_CONNECTION#* * }"
    [ -n "$s" ] && echo "ssh=$s" && echo "ssh.peer=\${SSH_CONNECTION%% *}"
    lvs_section route
    ip route show 2>/dev/null
    lvs_section route6
    ip -6 route show 2>/dev/null
    # With the chains that others jump to, and a word for each rule that translates addresses. The elements of sets, and the
    # chains of tables that do nothing else, may be thousands of lines.
    lvs_section input
    if lvs_tables; then
        timeout 3 nft list ruleset 2>/dev/null | sed -n '/^table inet pulumi_lvs /,/^}/d;/chain PULUMI-LVS-/,/^.}/d;/^table /p;/ct status /!{/[[:space:]]\\(masquerade\\|[sd]nat \\)\\|"MASQUERADE"\\|"[SD]NAT"/{s/.*/nat/p;d;};};10000,$d;/^table [a-z0-9]* nat {/,/^}/d;/^table [a-z0-9]* raw {/,/^}/d;/^.set /,/^.}/d;/^.map /,/^.}/d;/^table /d;p'
    fi
    # Beside nft, which does not show them, the tables of the older backend; only those that are in use.
    lvs_section input.iptables
    for p in iptables ip6tables; do
        c=$p-save
        if command -v nft >/dev/null 2>&1; then
            t=; read -r t 2>/dev/null < "/proc/net/\${p%tables}_tables_names"
            c=$p-legacy-save; [ -n "$t" ] && command -v $c >/dev/null 2>&1 || continue
        else
            lvs_listable $p || continue
        fi
        echo $p
        timeout 3 $c 2>/dev/null | sed -n '/^-A PULUMI-LVS-/d;/^-A .* -j \\(MASQUERADE\\|[SD]NAT\\)/{s/.*/nat/p;d;};/^[*]filter/,/^COMMIT/{/^[*]/d;p;}'
    done
    # By any look: what is built in would else seem to be missing.
    lvs_section builtin
    grep -shoE '/(${MODULES})\\.ko' "/lib/modules/$k/modules.builtin" | sed 's/.*\\///;s/\\.ko//'
    case $LVS_GROUPS in *"|kernel|"*)
    # A line of modules.dep whose file was taken away is no module.
    lvs_section loadable
    grep -shE '(^|/)(${MODULES})\\.ko[.a-z]*:' "/lib/modules/$k/modules.dep" | while IFS=: read -r f v; do
        case $f in /*) ;; *) f=/lib/modules/$k/$f ;; esac
        [ -e "$f" ] && f=\${f##*/} && echo "\${f%%.ko*}"
    done
    lvs_section installed
    for d in /lib/modules/*; do
        [ -e "$d/modules.dep" ] && echo "\${d##*/}"
    done
    lvs_section blacklist
    grep -sHE '^[[:space:]]*(blacklist|install)[[:space:]]+(${MODULES})([[:space:]]|$)' /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /lib/modprobe.d/*.conf
    grep -soE 'module_blacklist=[^ ]*' /proc/cmdline | sed 's,^,/proc/cmdline:,'
    lvs_section config
    if [ -r /proc/config.gz ]; then zcat /proc/config.gz; else cat "/boot/config-$k" 2>/dev/null; fi |
        grep -E '^(# )?CONFIG_(${OPTIONS})[= ]'
    # Its version and options are words in it: to run it would load IPVS.
    lvs_section ipvsadm
    p=$(command -v ipvsadm) && tr '\\000' '\\n' < "$p" | grep -aoE 'v[0-9]+\\.[0-9.]+ [0-9]{4}/[0-9]{2}/[0-9]{2}|${ipvsadmOptions.map(({ option }) => option).join("|")}' | sort -u
    ;; esac
    lvs_section sysctl.d
    grep -sE '^ *-? *[a-z]' /etc/sysctl.conf /etc/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf /run/sysctl.d/*.conf | sed 's/ *= */=/'
    lvs_section mtu
    for d in /sys/class/net/*; do
        m=; read -r m 2>/dev/null < "$d/mtu" && echo "\${d##*/} $m"
    done
}
# Devices that loading a module puts into every network namespace are nobody's doing.
LVS_FALLBACK='/^net.ipv[46].conf.\\(tunl0\\|gre0\\|gretap0\\|erspan0\\|sit0\\|ip6tnl0\\|ip6gre0\\)./d'
lvs_sum() {
    sed "s/^$LVS_NONCE //;/^  -> /s/ *[0-9]* *[0-9]* *$//;s/ *valid_lft .*//;s/ expires [0-9]*sec//;s/ dynamic / /;s/ (size=[0-9]*)$//;s/ packets [0-9]* bytes [0-9]*//;$LVS_FALLBACK" "$1" | cksum
}
`.trim();
