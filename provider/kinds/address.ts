import { type Action, DEVICE_PREFIX, type Kind, ranks } from "./kind";
import { lines } from "./probe";

/**
 * `deprecated` (IPv6 only): the address is never chosen as a source. A VIP added plainly on a director becomes the
 * source of the outer tunnel header, and the real server, which has the same VIP, drops that silently.
 * `silent`: never announced nor asked for, because another host answers for it.
 */
type AddressValue = { deprecated: boolean; silent?: true };

/** An address on a device, keyed `lo/192.0.2.100/32`. A VIP on a network is announced when it is set. */
export const addressKind: Kind<AddressValue> = {
    name: "address",
    nature: "thing",
    tool: "ip",
    rank: () => ranks.address,
    read: (probe) =>
        new Map(
            lines(probe, "address").flatMap((line): [string, AddressValue][] => {
                const match = /^\d+:\s+([^\s@]+)(?:@\S+)?\s+inet6?\s+(\S+)(?:\s+peer\s+(\S+))?\s(.*)$/.exec(line);
                if (match === null) return [];
                const [, device = "", address = "", peer, flags = ""] = match;
                const key = `${device}/${peer === undefined ? withPrefix(address) : `${address} ${peer}`}`;
                return [[key, { deprecated: /\bdeprecated\b/.test(flags) }]];
            }),
        ),
    satisfied: (want, have) => want.deprecated === have.deprecated,
    set: (key, want, have) => {
        const { device, address, family } = parseAddressKey(key);
        // `replace` alone does not make a preferred address deprecated or the reverse on every iproute2.
        const flags = family === "ipv6" ? ["nodad", "preferred_lft", want.deprecated ? "0" : "forever"] : [];
        const add: Action = {
            run: ["ip", "addr", have === undefined ? "add" : "change", address, "dev", device, ...flags],
        };
        return announced(device) && want.silent !== true
            ? [add, { script: family === "ipv6" ? ANNOUNCE6 : ANNOUNCE4, words: [device, plain(address)] }]
            : [add];
    },
    unset: (key) => {
        const { device, address } = parseAddressKey(key);
        return [{ run: ["ip", "addr", "del", address, "dev", device] }];
    },
    boot: (key, want) => {
        const { device, address, family } = parseAddressKey(key);
        if (!announced(device) || want.silent === true) return addressKind.set(key, want, undefined);
        const flags = family === "ipv6" ? ["preferred_lft", want.deprecated ? "0" : "forever"] : [];
        return [
            {
                script: family === "ipv6" ? UNANSWERED6 : UNANSWERED4,
                words: [device, plain(address), address, ...flags],
            },
        ];
    },
    describe: (key) => {
        const { device, address } = parseAddressKey(key);
        return `address ${address} on ${device}`;
    },
};

/** The key of a host address (prefix 32 or 128) on a device. */
export function addressKey(device: string, address: string): string {
    return `${device}/${address}/${address.includes(":") ? 128 : 32}`;
}

/** A key's parts. */
export function parseAddressKey(key: string): { device: string; address: string; family: "ipv4" | "ipv6" } {
    const at = key.indexOf("/");
    const address = key.slice(at + 1);
    return { device: key.slice(0, at), address, family: address.includes(":") ? "ipv6" : "ipv4" };
}

function withPrefix(address: string): string {
    if (address.includes("/")) return address;
    return `${address}/${address.includes(":") ? 128 : 32}`;
}

function plain(address: string): string {
    return address.slice(0, address.indexOf("/"));
}

/** Whether a device has a segment that is told of its addresses. */
export function announced(device: string): boolean {
    return device !== "lo" && !device.startsWith(DEVICE_PREFIX);
}

/**
 * ARP is spoken by perl (perl-base, which every Debian has), over Ethernet, and else by the arping of iputils or of busybox.
 * Debian's other arping means the opposite by -D: its 0 says that somebody answered.
 */
const ARP = `
sub fail { print "$!\\n"; exit 4 }
my ($d, $ip) = ($ARGV[0], inet_aton $ARGV[1]);
my ($type, $mac, $index) = map { open my $f, "<", "/sys/class/net/$d/$_" or fail; scalar <$f> } "type", "address", "ifindex";
exit 5 if $type != 1; # Ethernet
$mac =~ tr/0-9a-f//cd;
socket my $s, 17, SOCK_DGRAM, unpack "S", pack "n", 0x806 or fail; # AF_PACKET
bind $s, pack "SnlSCCx8", 17, 0x806, $index, 0, 0, 0 or fail;
my $all = pack "SnlSCCH12x2", 17, 0x806, $index, 0, 0, 6, "f" x 12;
sub request { send $s, pack("nnCCnH12a4x6a4", 1, 0x800, 6, 4, 1, $mac, $_[0], $ip), 0, $all or fail }`.trim();

/** What `arping -V` of one that means what iputils' does says, as patterns of a case. */
export const ARPING = "*iputils* | *BusyBox*";

/** Tells the segment where the address is now: gratuitous ARP, in the background, closed off from the caller's channels. */
const ANNOUNCE4 = `
command -v perl >/dev/null 2>&1 || case $(arping -V 2>&1) in ${ARPING}) ;; *) echo "warning: neither perl nor iputils' arping: $2 is not announced" >&2; exit 0 ;; esac
{
command -v perl && perl -MSocket - "$1" "$2" <<\\PERL && exit
${ARP}
for (1 .. 3) { request $ip; sleep 1 if $_ < 3 }
PERL
case $(arping -V 2>&1) in ${ARPING}) arping -q -U -c 3 -I "$1" "$2" ;; esac
} </dev/null >/dev/null 2>&1 &
exit 0`.trim();

/**
 * The same for IPv6, by unsolicited neighbour advertisements with the override flag (RFC 4861, 7.2.6), from which a
 * neighbour whose entry still counts as reachable learns the new place too. No program of Debian's sends one, but every
 * Debian has a perl with sockets (perl-base). A host without it asks for each neighbour that it knows anew, from the
 * address: a neighbour takes the new place from such a question, but not from a mere packet.
 */
const ANNOUNCE6 = `
{
command -v perl && perl -MSocket=:all - "$1" "$2" <<\\PERL && exit
my ($d, $vip) = ($ARGV[0], inet_pton(AF_INET6, $ARGV[1]));
my ($mac, $index, $router) = map { open my $f, "<", $_ or exit 1; scalar <$f> }
    "/sys/class/net/$d/address", "/sys/class/net/$d/ifindex", "/proc/sys/net/ipv6/conf/$d/forwarding";
$mac =~ tr/0-9a-f//cd;
exit 1 if length $mac != 12;
socket my $s, AF_INET6, SOCK_RAW, 58 or exit 1; # ICMPv6
setsockopt $s, 41, 18, 255 or exit 1; # IPV6_MULTICAST_HOPS, or nobody takes it
bind $s, pack_sockaddr_in6(0, $vip) or exit 1;
my $na = pack "CCnNa16CCH12", 136, 0, 0, 0x20000000 | ($router > 0) << 31, $vip, 2, 1, $mac;
for (1 .. 3) {
    send $s, $na, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, "ff02::1"), $index) or exit 1;
    sleep 1 if $_ < 3;
}
PERL
for r in $(ip -6 neigh show dev "$1" | sed -n 's/^\\([^ ]*\\) .*lladdr.*/\\1/p' | head -n 16); do
    ip -6 neigh del "$r" dev "$1"
    case $r in fe80:*) r=$r%$1 ;; esac
    ping -6 -c 1 -W 1 -I "$2" "$r" &
done
} </dev/null >/dev/null 2>&1 &
exit 0`.trim();

/** Nothing to do where it is there already; else waits a little for an interface that is being brought up. */
const ABSENT_AND_UP = `
d=$1; a=$2; p=$3; shift 3
[ -z "$(ip -o addr show dev "$d" to "$a" 2>/dev/null)" ] || exit 0
n=0
until [ -n "$(ip -o link show dev "$d" up 2>/dev/null)" ] || [ $n -ge 5 ]; do n=$((n + 1)); sleep 1; done`;

const announcing = (script: string) => `sh -c '${script.replaceAll("'", "'\\''")}' sh "$d" "$a"`;

/**
 * Adds and announces an IPv4 address unless somebody on the segment answers for it (RFC 5227 probe). Where nobody can be
 * asked it is not added, as an IPv6 address is not used before the segment was asked.
 */
const UNANSWERED4 = `${ABSENT_AND_UP}
case $(ip -o link show dev "$d" 2>/dev/null) in *NOARP*) s=0 ;; *)
    o=$(perl -MSocket - "$d" "$a" 2>&1 <<\\PERL
${ARP}
for (1 .. 2) {
    request "\\0" x 4;
    for (my $left = 1; $left > 0; ) {
        vec(my $ready = "", fileno $s, 1) = 1;
        (my $n, $left) = select $ready, undef, undef, $left;
        next if $n < 1;
        defined recv $s, my $p, 64, 0 or fail;
        my ($from, $its) = length $p < 28 ? next : unpack "x8 H12 a4", $p;
        next if $its ne $ip || $from eq $mac;
        print "reply from $ARGV[1] [", join(":", unpack "(a2)*", $from), "]\\n";
        exit 3;
    }
}
PERL
)
    s=$?
    case $s in 0 | 3 | 4) ;; *)
        case $(arping -V 2>&1) in
        ${ARPING}) o=$(arping -D -c 2 -w 3 -I "$d" "$a" 2>&1); case $? in 0) s=0 ;; 1) s=3 ;; esac ;;
        *) o="the host has neither perl nor iputils' arping" ;;
        esac ;;
    esac ;;
esac
case $s in
0) ;;
3) echo "$a is answered for on $d by another host: not added: $(printf '%s' "$o" | sed -n 's/.*reply from/reply from/p' | head -n 1)" >&2; exit 1 ;;
*) echo "whether another host has $a cannot be asked on $d: not added: $o" >&2; exit 1 ;;
esac
ip addr add "$p" dev "$d" || exit
${announcing(ANNOUNCE4)}`.trim();

/**
 * The same for IPv6, by the kernel's duplicate address detection: until it is over, the address is tentative and the
 * kernel neither answers for it nor uses it. Without a carrier it stays so, and the kernel asks when there is one.
 */
const UNANSWERED6 = `${ABSENT_AND_UP}
ip addr add "$p" dev "$d" "$@" || exit
n=0
while [ $n -lt 5 ]; do
    o=$(ip -o -6 addr show dev "$d" to "$a")
    case $o in
    *dadfailed*) ip addr del "$p" dev "$d"; echo "$a is answered for on $d by another host: not added" >&2; exit 1 ;;
    *tentative*) n=$((n + 1)); sleep 1 ;;
    *) ip addr change "$p" dev "$d" nodad "$@"; break ;;
    esac
done
${announcing(ANNOUNCE6)}`.trim();
