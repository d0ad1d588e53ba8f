/** `lvs script`: what a stack stands for, as commands. */
import { execFileSync, spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { declarationsIn } from "../../../cli/declared";
import { shellScript } from "../../../cli/shellScript";
import { UNKNOWN } from "../../../provider/inputs/parse";

const owner = (type: string, name: string) => `acme/shop/prod#${type}/${name}`;
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:hidden" };

function state(type: string, name: string, inputs: Record<string, unknown>) {
    return {
        urn: `urn:pulumi:prod::shop::pulumi-nodejs:dynamic/lvs:${type}::${name}`,
        custom: true,
        type: `pulumi-nodejs:dynamic/lvs:${type}`,
        inputs: { ...inputs, owner: owner(type, name), __provider: "exports.handler=…" },
    };
}

const lb1 = { name: "lb1", connection: "lb1", interface: "eth0" };
const web = { protocol: "tcp", address: "192.0.2.100", port: 80 };
const farm = [
    { urn: "urn:pulumi:prod::shop::pulumi:pulumi:Stack::shop-prod", type: "pulumi:pulumi:Stack", custom: false },
    state("Director", "lb1", { ...lb1, timeouts: { udp: 60 } }),
    state("VirtualService", "web", { ...web, scheduler: "wrr", director: lb1 }),
    ...([9, 21] as const).map((last) =>
        state("RealServer", `web${last}`, {
            service: { ...web, director: lb1 },
            address: `192.0.2.${last}`,
            weight: last,
            connection: { host: `web${last}.example.com`, password: SECRET },
        }),
    ),
];
const exported = (resources: unknown[]) => JSON.stringify({ version: 3, deployment: { manifest: {}, resources } });
const scriptOf = (resources: unknown[]) => shellScript(declarationsIn(exported(resources)));

test("a web farm's commands, host by host, real servers first, each with who wants it", () => {
    expect(scriptOf(farm).split("\n").slice(1).join("\n")).toMatchInlineSnapshot(`
"# What acme/shop/prod stands for: the commands that fresh hosts would get, in their order. Made by \`lvs
# script\`, for a reviewer. \`pulumi up\` does more: it looks first and does only what is missing, keeps a
# ledger, reads back what it set, takes a failure back, and sets everything again at boot.
#
# To run a host's part there: sh FILE HOST. Real servers come before their directors.
case "$1" in
'web21.example.com')
set -e
# boot unit pulumi-lvs.service (RealServer web21): by \`pulumi up\` alone, it works from the ledger
# sysctl net.ipv4.conf.INTERFACE.arp_announce (RealServer web21)
# Only this host says which interface has 192.0.2.21: put it in for INTERFACE.
# printf '%s\\n' 2 > /proc/sys/net/ipv4/conf/INTERFACE/arp_announce
# sysctl net.ipv4.conf.INTERFACE.arp_ignore (RealServer web21)
# Only this host says which interface has 192.0.2.21: put it in for INTERFACE.
# printf '%s\\n' 1 > /proc/sys/net/ipv4/conf/INTERFACE/arp_ignore
# address 192.0.2.100/32 on lo (RealServer web21)
ip addr add 192.0.2.100/32 dev lo
;;
'web9.example.com')
set -e
# boot unit pulumi-lvs.service (RealServer web9): by \`pulumi up\` alone, it works from the ledger
# sysctl net.ipv4.conf.INTERFACE.arp_announce (RealServer web9)
# Only this host says which interface has 192.0.2.9: put it in for INTERFACE.
# printf '%s\\n' 2 > /proc/sys/net/ipv4/conf/INTERFACE/arp_announce
# sysctl net.ipv4.conf.INTERFACE.arp_ignore (RealServer web9)
# Only this host says which interface has 192.0.2.9: put it in for INTERFACE.
# printf '%s\\n' 1 > /proc/sys/net/ipv4/conf/INTERFACE/arp_ignore
# address 192.0.2.100/32 on lo (RealServer web9)
ip addr add 192.0.2.100/32 dev lo
;;
'lb1')
set -e
# boot unit pulumi-lvs.service (Director lb1, RealServer web21, RealServer web9, 1 more): by \`pulumi up\`
# alone, it works from the ledger
# kernel module ip_vs (Director lb1, RealServer web21, RealServer web9, 1 more)
modprobe ip_vs
# kernel module ip_vs_wrr (VirtualService web)
modprobe ip_vs_wrr
# IPVS timeout udp (Director lb1)
ipvsadm --set 0 0 60
# virtual service tcp/192.0.2.100:80 (VirtualService web)
ipvsadm -A -t 192.0.2.100:80 -s wrr
# real server tcp/192.0.2.100:80/192.0.2.9:80 (RealServer web9)
ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.9:80 -g -w 9 -x 0 -y 0
# real server tcp/192.0.2.100:80/192.0.2.21:80 (RealServer web21)
ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 21 -x 0 -y 0
# address 192.0.2.100/32 on eth0 (VirtualService web)
ip addr add 192.0.2.100/32 dev eth0
sh -c 'command -v perl >/dev/null 2>&1 || case $(arping -V 2>&1) in *iputils* | *BusyBox*) ;; *) echo "warning: neither perl nor iputils'\\'' arping: $2 is not announced" >&2; exit 0 ;; esac
{
command -v perl && perl -MSocket - "$1" "$2" <<\\PERL && exit
sub fail { print "$!\\n"; exit 4 }
my ($d, $ip) = ($ARGV[0], inet_aton $ARGV[1]);
my ($type, $mac, $index) = map { open my $f, "<", "/sys/class/net/$d/$_" or fail; scalar <$f> } "type", "address", "ifindex";
exit 5 if $type != 1; # Ethernet
$mac =~ tr/0-9a-f//cd;
socket my $s, 17, SOCK_DGRAM, unpack "S", pack "n", 0x806 or fail; # AF_PACKET
bind $s, pack "SnlSCCx8", 17, 0x806, $index, 0, 0, 0 or fail;
my $all = pack "SnlSCCH12x2", 17, 0x806, $index, 0, 0, 6, "f" x 12;
sub request { send $s, pack("nnCCnH12a4x6a4", 1, 0x800, 6, 4, 1, $mac, $_[0], $ip), 0, $all or fail }
for (1 .. 3) { request $ip; sleep 1 if $_ < 3 }
PERL
case $(arping -V 2>&1) in *iputils* | *BusyBox*) arping -q -U -c 3 -I "$1" "$2" ;; esac
} </dev/null >/dev/null 2>&1 &
exit 0' sh eth0 192.0.2.100
;;
*) echo "usage: sh $0 HOST, where HOST is one of:" 'web21.example.com' 'web9.example.com' 'lb1' >&2; exit 2 ;;
esac
"
`);
});

test("a host that takes router advertisements goes on taking them when it begins to forward IPv6", () => {
    const text = scriptOf([state("Director", "lb1", { ...lb1, ipv6Forward: true })]);
    const [before, after] = text.split("> /proc/sys/net/ipv6/conf/all/forwarding");
    expect(before).toMatch(/echo 2 > "\$d\/accept_ra"/);
    expect(after).toBeDefined();
});

test("what follows from a host's MTU is said to be assumed; what was asked for is not", () => {
    const tunnelled = (name: string, address: string, tunnel: object) =>
        state("RealServer", name, {
            service: { ...web, director: lb1 },
            address,
            forwarding: "tun",
            tunnel,
            connection: name,
        });
    const text = scriptOf([tunnelled("web1", "192.0.2.21", {}), tunnelled("web2", "192.0.2.22", { mss: 1300 })]);
    const [web1, web2] = text.split("'web2')");
    expect(web1).toMatch(/TCP segment size.*\n# Assumed, for an interface with an MTU of 1500/);
    expect(web2).toMatch(/TCP segment size/);
    expect(web2).not.toContain("Assumed");
});

test("a gateway is one command of the real server's, whichever of its services asks for it, and none of the director's", () => {
    const byNat = (name: string, port: number) =>
        state("RealServer", name, {
            service: { ...web, port, director: lb1 },
            ...{ address: "192.0.2.21", forwarding: "nat", connection: "web1", gateway: "192.0.2.10" },
        });
    const [web1, director] = scriptOf([byNat("web", 80), byNat("mail", 25)]).split("'lb1')");
    expect(web1).toContain(
        "# route ipv4/default (RealServer mail, RealServer web)\nip -4 route replace default via 192.0.2.10 proto static\n",
    );
    expect(web1!.match(/ip -4 route/g)).toHaveLength(1);
    expect(director).not.toContain("route");
});

test("the order of resources means nothing", () => {
    const expected = scriptOf(farm);
    fc.assert(
        fc.property(fc.shuffledSubarray(farm, { minLength: farm.length }), (other) => {
            expect(scriptOf(other)).toBe(expected);
        }),
        { numRuns: 50 },
    );
});

test("a shell reads it, and without one of its hosts it does nothing", () => {
    const text = scriptOf(farm);
    for (const words of [[], ["lb2"]]) {
        const { status, stderr } = spawnSync("sh", ["-s", ...words], { input: text, env: {}, encoding: "utf8" });
        expect(status).toBe(2);
        expect(stderr).toContain("usage: sh");
        expect(stderr).toContain("lb1");
    }
    execFileSync("sh", ["-n"], { input: text });
});

test("a preview's script is of what will be", () => {
    const [, director, service, web9, web21] = farm;
    const steps = [
        { op: "same", newState: farm[0] },
        { op: "update", oldState: director, newState: director },
        { op: "create-replacement", newState: service },
        { op: "replace", newState: service },
        { op: "delete-replaced", oldState: service },
        { op: "create", newState: web9 },
        { op: "delete", oldState: web21 },
    ];
    const preview = JSON.stringify({ steps, changeSummary: { same: 1, update: 1, create: 1, delete: 1, replace: 1 } });
    expect(shellScript(declarationsIn(preview))).toBe(scriptOf(farm.slice(0, 4)));
    const partly = JSON.stringify({ steps: steps.slice(1), changeSummary: { same: 7 } });
    expect(shellScript(declarationsIn(partly)).replace(/\n# /g, " ")).toContain("7 resources that stay as they are");
});

test("what is about to be deleted, and other packages' resources, are not in it", () => {
    const more = [
        { ...state("RealServer", "old", { service: { ...web, director: lb1 }, address: "192.0.2.99" }), delete: true },
        { urn: "urn:pulumi:prod::shop::x:y:Z::other", type: "x:y:Z", custom: true, inputs: { a: 1 } },
    ];
    expect(scriptOf([...farm, ...more])).toBe(scriptOf(farm));
});

test.each([
    ["encrypted", SECRET],
    ["masked", "[secret]"],
    ["shown", { ...SECRET, ciphertext: undefined, plaintext: '"192.0.2.77"' }],
    ["unknown", UNKNOWN],
])("an input that is %s leaves its resource out, says so, and does not show it", (_, value) => {
    const text = scriptOf([
        ...farm,
        state("RealServer", "odd", { service: { ...web, director: lb1 }, address: value }),
    ]);
    expect(text.replace(/\n# /g, " ")).toContain("RealServer odd is left out: some of its inputs are secret");
    for (const secret of ["192.0.2.77", "hidden", UNKNOWN]) expect(text).not.toContain(secret);
});

test("of a connection nothing but the host is shown, and not that if it is secret", () => {
    const open = { host: "lb9.example.com", port: 2222, user: "root", privateKey: SECRET, password: "hunter2" };
    const text = scriptOf([
        state("Director", "a", { name: "a", connection: open, timeouts: { tcp: 60 } }),
        state("Director", "b", { name: "b", connection: "[secret]", timeouts: { tcp: 60 } }),
        state("Director", "c", { name: "c", connection: { ...open, host: SECRET }, timeouts: { tcp: 60 } }),
    ]);
    expect(text.match(/^'.*'\)$/gm)).toEqual(["'b')", "'c')", "'lb9.example.com:2222')"]);
    expect(text).not.toMatch(/hunter2|hidden|\[secret\]/);
});

test("drift that a refresh wrote beside the inputs is no input", () => {
    const [, director] = farm as [unknown, ReturnType<typeof state>];
    const drifted = { ...director, inputs: { ...director.inputs, drift: { "service x": "absent" } } };
    expect(scriptOf([drifted])).toBe(scriptOf([director]));
});

test.each(["", "{}", "[]", '{"steps": 1}'])("%j is neither a stack nor a preview", (text) => {
    expect(() => declarationsIn(text)).toThrow("neither `pulumi stack export` nor `pulumi preview --json`");
});

test("a name cannot leave its comment or its place", () => {
    const given = state("Director", "x", { name: "x", connection: "a') touch b;; #", timeouts: { tcp: 60 } });
    const text = scriptOf([{ ...given, urn: `${given.urn}\ntouch b` }]);
    expect(text).toContain("'a'\\'') touch b;; #')");
    expect(text).not.toMatch(/^touch/m);
    execFileSync("sh", ["-n"], { input: text });
});
